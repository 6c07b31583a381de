"""Parameters of the built-in strategies, drawn so that they trade often."""

from hypothesis import strategies as st

ORB = st.fixed_dictionaries(
    {
        "range_minutes": st.sampled_from([5, 15, 60]),
        "lock_minutes": st.sampled_from([0, 5, 30]),
        "location_atr": st.sampled_from([0.25, 2.0]),
        "momentum_range_atr": st.sampled_from([0.5, 1.5]),
        "stop_floor_atr": st.sampled_from([0.3, 1.5]),
        "reward_multiple": st.sampled_from([0.5, 3.0]),
    }
)
EMA = st.fixed_dictionaries(
    {
        "fast": st.integers(2, 8), "slow": st.integers(9, 20), "slope_min_atr": st.just(0.0),
        "rsi_neutral": st.just(35.0), "rsi_stretched": st.just(95.0), "first_entry_minutes": st.just(0),
        "stop_atr": st.sampled_from([0.5, 2.0]),
    }
)  # fmt: skip
