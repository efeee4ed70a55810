"""What sellers offer: read strictly, from rows of texts.

Rules
1. An offer is a mapping of the keys in ``KEYS`` to texts; ``name``, ``volume`` and ``price`` must
   be there. An empty text is as none. Anything else is an error of one line that names the offer.
2. ``volume`` may be ``unlimited``; then ``fair-use`` (``2GB/day``) is what a day has at full speed.
3. All prices are in one currency: nobody knows tomorrow's rates.
4. At most ``MOST`` offers.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from tripgate.core.model import Period
from tripgate.core.units import UnitError, parse_cap, parse_duration, parse_volume

T = TypeVar("T")

MOST = 200
NAME_MOST = 60
KEYS = (
    "name", "volume", "fair-use", "price", "valid", "step", "top-up", "top-up-price",
)  # fmt: skip
_NEEDED = ("name", "volume", "price")
_PRICE = re.compile(r"(\d{1,7}(?:\.\d{1,2})?)\s?([A-Z]{3})")


class OfferError(ValueError):
    """An offer cannot be read; the text names it and says what to write."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Volumes are bytes, ``None``: unlimited; ``fair_use`` bytes a day; ``valid_s`` ``None``: no
    end. ``top_up`` is a further volume within the validity."""

    name: str
    volume: int | None
    price: Decimal
    currency: str
    fair_use: int | None = None
    valid_s: int | None = None
    step: int = 1
    top_up: int | None = None
    top_up_price: Decimal = Decimal(0)


def offers(rows: Iterable[Any]) -> tuple[Offer, ...]:
    """All offers of a file. Raises :class:`OfferError`."""
    made: list[Offer] = []
    for number, row in enumerate(rows, 1):
        if number > MOST:
            raise OfferError(f"there are more than {MOST} offers: leave some out")
        made.append(_offer(number, row))
    if not made:
        raise OfferError("there is no offer: write [[offer]] with a name, a volume and a price")
    currencies = sorted({one.currency for one in made})
    if len(currencies) > 1:
        told = " and ".join(currencies[:3])
        raise OfferError(f"prices are in {told}: write all of them in one currency")
    names = [one.name for one in made]
    for name in names:
        if names.count(name) > 1:
            raise OfferError(f"two offers are called {name!r}: give each a name of its own")
    return tuple(made)


def _offer(number: int, row: Any) -> Offer:
    label = f"offer {number}"
    if not isinstance(row, Mapping):
        raise OfferError(f"{label} is no table: write [[offer]]")
    if isinstance(name := row.get("name"), str):
        label = f"offer {number} {name[:NAME_MOST]!r}"
    texts = {key: value for key, value in row.items() if value != ""}
    for key, value in texts.items():
        if key not in KEYS:
            raise OfferError(f"{label}: {str(key)[:30]!r} is unknown: use {', '.join(KEYS)}")
        if not isinstance(value, str):
            raise OfferError(f'{label}: {key} is no text: write it as "…"')
    for key in _NEEDED:
        if key not in texts:
            raise OfferError(f"{label}: {key} is missing: every offer needs {', '.join(_NEEDED)}")
    return _Reader(label, texts).offer()


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the texts of one offer; an error names it."""

    label: str
    texts: Mapping[str, str]

    def offer(self) -> Offer:
        volume = self._read("volume", _size, None)
        price, currency = self._price("price")
        fair_use = self._read("fair-use", _a_day, None)
        top_up = self._read("top-up", parse_volume, None)
        top_up_price, other = Decimal(0), currency
        if "top-up-price" in self.texts:
            top_up_price, other = self._price("top-up-price")
        if (top_up is None) != ("top-up-price" not in self.texts):
            self._refuse("top-up and top-up-price go together: write both or none")
        if other != currency:
            self._refuse(f"top-up-price is in {other}: write it in {currency}")
        if fair_use is not None and volume is not None:
            self._refuse('fair-use goes with volume = "unlimited" only: leave it out')
        if top_up is not None and volume is None:
            self._refuse("an unlimited offer needs no top-up: leave it out")
        return Offer(
            self._read("name", _name, ""),
            volume,
            price,
            currency,
            fair_use,
            self._read("valid", parse_duration, None),
            self._read("step", parse_volume, 1),
            top_up,
            top_up_price,
        )

    def _refuse(self, why: str) -> None:
        raise OfferError(f"{self.label}: {why}")

    def _read(self, key: str, parse: Callable[[str], T], default: T) -> T:
        if key not in self.texts:
            return default
        try:
            return parse(self.texts[key])
        except UnitError as error:
            raise OfferError(f"{self.label}: {key}: {error}") from None

    def _price(self, key: str) -> tuple[Decimal, str]:
        text = self.texts[key]
        match = _PRICE.fullmatch(text) if text.isascii() else None
        if match is None:
            raise OfferError(f'{self.label}: {key}: {text[:40]!r} is no price: write "25 USD"')
        return Decimal(match[1]), match[2]


def _name(text: str) -> str:
    if not text.strip() or len(text) > NAME_MOST or not text.isprintable():
        raise UnitError(f"{text[:40]!r} is no name: write at most {NAME_MOST} letters")
    return text.strip()


def _size(text: str) -> int | None:
    return None if text == "unlimited" else parse_volume(text)


def _a_day(text: str) -> int:
    volume, period = parse_cap(text)
    if period is not Period.DAY:
        raise UnitError(f"{text[:40]!r} is no volume a day: write it as 2GB/day")
    return volume
