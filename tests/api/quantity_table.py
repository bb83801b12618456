"""Quantities, what they amount to, and how a real API server returns them (e2e/test_crds.py)."""

from __future__ import annotations

from decimal import Decimal

# The API server returns these as they came, mistaking them for canonical.
KEPT_AS_WRITTEN = ("1.", "+1", "01", "1E3", "010m", "001Ki")

QUANTITIES: tuple[tuple[str | int, Decimal, str], ...] = (
    ("2000m", Decimal(2), "2"),
    (2, Decimal(2), "2"),
    ("0", Decimal(0), "0"),
    ("0Mi", Decimal(0), "0"),
    ("100m", Decimal("0.1"), "100m"),
    ("0.1", Decimal("0.1"), "100m"),
    (".5", Decimal("0.5"), "500m"),
    ("1500m", Decimal("1.5"), "1500m"),
    ("1024Mi", Decimal(2**30), "1Gi"),
    ("1.5Gi", Decimal(3 * 2**29), "1536Mi"),
    ("1Ki", Decimal(1024), "1Ki"),
    ("0.5Ki", Decimal(512), "512"),
    ("1000Ki", Decimal(1024000), "1000Ki"),
    ("0.1Gi", Decimal("107374182.4"), "107374182400m"),
    ("1000", Decimal(1000), "1k"),
    ("1000k", Decimal(10**6), "1M"),
    ("1234567", Decimal(1234567), "1234567"),
    ("12e6", Decimal(12 * 10**6), "12e6"),
    ("1e3", Decimal(1000), "1e3"),
    ("1e-3", Decimal("0.001"), "1e-3"),
    ("100e-3", Decimal("0.1"), "100e-3"),
    ("1E", Decimal(10**18), "1E"),
    ("8Gi", Decimal(2**33), "8Gi"),
    ("128974848", Decimal(128974848), "128974848"),
    ("129M", Decimal(129 * 10**6), "129M"),
    ("10000000000000000000", Decimal(10**19), "10E"),
    ("1e20", Decimal(10**20), "100e18"),
    ("9Ei", Decimal(2**63 - 1), "9223372036854775807"),
)
