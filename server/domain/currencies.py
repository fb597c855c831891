"""Currencies: how many decimal places separate a unit from its smallest part (ISO 4217)."""

from typing import Final

_USUAL: Final = 2
_UNUSUAL: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_PLACES: Final = {code: places for places, codes in _UNUSUAL.items() for code in codes.split()}


def decimal_places(currency: str) -> int:
    """Decimal places of a currency, by its code of three letters: 2 for EUR, 0 for JPY, 3 for KWD."""
    return _PLACES.get(currency, _USUAL)
