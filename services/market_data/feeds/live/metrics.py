"""What a live feed measures."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class LiveMetrics:
    """The figures of one process, in the registry it is given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.ticks = Counter(
            "tradebus_market_data_live_ticks_total", "Ticks of a broker's feed published", registry=registry
        )
        self.silent = Counter(
            "tradebus_market_data_silent_feeds_total", "Connections given up because data had stopped",
            registry=registry,
        )  # fmt: skip
        self.behind_seconds = Gauge(
            "tradebus_market_data_live_seconds_behind", "Event seconds from the last tick to the market's clock",
            registry=registry,
        )  # fmt: skip
        self.events = Counter(
            "tradebus_market_data_feed_events_total", "What happened to the feed's connections", ["kind"],
            registry=registry,
        )  # fmt: skip
        self.gaps = Counter(
            "tradebus_market_data_gaps_total", "Gaps of data that began", ["exchange", "market_class"],
            registry=registry,
        )  # fmt: skip
        self.repairs_waiting = Gauge(
            "tradebus_market_data_repairs_waiting", "Spans of minutes that are to be read from history",
            registry=registry,
        )  # fmt: skip
        self.unheard = Gauge(
            "tradebus_market_data_subscriptions_unheard", "Instruments asked for whose first data has not come",
            registry=registry,
        )  # fmt: skip
