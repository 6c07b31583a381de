"""`make fuzz`: a million mutated frames through each broker's decoder, seed by argument."""

import sys

from rich.progress import track

from testkit import fuzz_dhan, fuzz_kite, fuzz_upstox

_CHUNK = 20_000


def main(count: int, seed: int) -> None:
    for name, fuzz in (("kite", fuzz_kite), ("dhan", fuzz_dhan), ("upstox", fuzz_upstox)):
        chunks = range(-(-count // _CHUNK))
        for chunk in track(chunks, description=name):
            fuzz.fuzz_frames(min(_CHUNK, count - chunk * _CHUNK), seed * 1_000 + chunk)
        print(f"{name}: {count:,} mutated frames, no exception left the decoder, no promise of it broken")


if __name__ == "__main__":
    main(count=int(sys.argv[1]), seed=int(sys.argv[2]))
