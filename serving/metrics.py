"""What Prometheus reads at `/metrics`."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector

LATENCY = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds. A single short text takes 2 to 5 ms on a CPU; a full queue takes the deadline."""
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CONFIDENCES = tuple(n / 20 for n in range(1, 21))


class Metrics:
    """All metrics of one service, in a registry of its own, so that two services can live in one process."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter("tidegate_requests", "Requests answered", ["line", "route", "code"], registry=registry)
        self.latency = Histogram(
            "tidegate_latency_seconds", "From arrival to answer", ["line"], buckets=LATENCY, registry=registry
        )
        self.batch_texts = Histogram(
            "tidegate_batch_texts", "Texts computed together", ["line"], buckets=SIZES, registry=registry
        )
        self.queue_texts = Gauge("tidegate_queue_texts", "Texts that wait", ["line"], registry=registry)
        self.confidence = Histogram(
            "tidegate_confidence", "Probability of the answered label", ["line", "release"],
            buckets=CONFIDENCES, registry=registry,
        )  # fmt: skip
        self.labels = Counter(
            "tidegate_labels", "Texts answered with a label", ["line", "release", "role", "label"], registry=registry
        )
        self.out_of_scope = Counter(
            "tidegate_out_of_scope", "Texts that have none of the labels", ["line", "release", "role"],
            registry=registry,
        )  # fmt: skip
        self.release = Gauge(
            "tidegate_release_info", "1 for each release that serves now",
            ["line", "release", "version", "variant", "provider", "role"], registry=registry,
        )  # fmt: skip
        self.swaps = Counter(
            "tidegate_swaps", "Releases taken up or refused", ["line", "outcome"], registry=registry
        )  # swapped, refused, withdrawn, canary_ended
        self.rejected = Counter(
            "tidegate_rejected", "Requests turned away", ["line", "reason"], registry=registry
        )  # queue_full, expired, rate, key, too_large
        self.shadow_differs = Counter(
            "tidegate_shadow_differs", "Texts to which the shadow gives another label", ["line"], registry=registry
        )
        self.product_answers = Counter(
            "tidegate_product_answers", "Questions to a product; `why` is empty where it answered by itself",
            ["product", "why"], registry=registry,
        )  # fmt: skip
        self.product_opinions = Counter(
            "tidegate_product_opinions", "Texts that a product was asked of; `sentiment` is empty without a release",
            ["product", "sentiment"], registry=registry,
        )  # fmt: skip
        self.feedback = Counter("tidegate_feedback", "True labels received", ["line"], registry=registry)
        self.spool_lag = Gauge("tidegate_spool_records", "Records not yet in the database", registry=registry)
        self.spool_bytes = Gauge("tidegate_spool_bytes", "Bytes of the spool on disk", registry=registry)
        self.spool_dropped = Counter("tidegate_spool_dropped", "Records dropped for want of room", registry=registry)
        self.spool_lost = Counter("tidegate_spool_lost", "Records that a crash took", registry=registry)
