"""Currencies: which there are, and how many decimal places separate a unit from its smallest part (ISO 4217)."""

from typing import Final

_USUAL: Final = 2
_UNUSUAL: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_OTHERS: Final = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE
    CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR
    KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB
    PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY
    TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"""
_PLACES: Final = {code: places for places, codes in _UNUSUAL.items() for code in codes.split()}


def decimal_places(currency: str) -> int:
    """Decimal places of a currency, by its code of three letters: 2 for EUR, 0 for JPY, 3 for KWD."""
    return _PLACES.get(currency, _USUAL)


KNOWN: Final = frozenset(_PLACES) | frozenset(_OTHERS.split())
"""The codes in use, without those of metals, funds and tests."""
