"""What the figures of `tradebus bench parse` have in common."""


def compared(packets: int, *, ours: float, sdk: float, floor: float) -> dict[str, float]:
    """Figures of three ways to read the same packets, each given in packets a second, and their ratios to the SDK's."""
    return {
        "packets": packets, "ours_per_second": ours, "sdk_per_second": sdk, "floor_per_second": floor,
        "ours_to_sdk": ours / sdk, "floor_to_sdk": floor / sdk,
    }  # fmt: skip
