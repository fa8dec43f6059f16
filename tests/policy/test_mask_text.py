import pytest

from policy.mask_text import MAX_NAMES, join_masks, parse_mask, write_mask
from policy.model import MaskObligation, TypedMask, Unreadable

ALL = MaskObligation()
EVERYTHING = MaskObligation(
    ("email", "payment_card"), ("ssn", "*_salary", "customer.phone"), TypedMask.STAND_IN, Unreadable.RELAY
)


@pytest.mark.parametrize(
    ("text", "mask"),
    [
        ("", ALL),
        ("*", ALL),
        ("email, *", ALL),
        (" ; ", ALL),
        ("email", MaskObligation(("email",))),
        ("email,email , payment_card", MaskObligation(("email", "payment_card"))),
        ("columns=ssn,pin", MaskObligation(columns=("ssn", "pin"))),
        ("; columns = ssn", MaskObligation(columns=("ssn",))),
        ("email; typed=null; unreadable=refuse;", MaskObligation(("email",))),
        (
            "email, payment_card; columns=ssn, *_salary, customer.phone; unreadable=relay; typed=stand_in",
            EVERYTHING,
        ),
    ],
)
def test_what_an_annotation_means(text: str, mask: MaskObligation) -> None:
    assert parse_mask(text) == mask
    assert parse_mask(write_mask(mask)) == mask


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("email; phone", "takes labels and columns, typed, unreadable, not 'phone'"),
        ("email; rows=1", "not 'rows=1'"),
        ("labels=email", "not 'labels=email'"),
        ("typed=zero", "typed is null or stand_in, not 'zero'"),
        ("unreadable=", "unreadable is refuse or relay, not ''"),
        ("columns=", "columns= names none"),
        ("columns=a; columns=b", "columns is given twice"),
        (",".join(map(str, range(MAX_NAMES + 1))), "more than 1000 labels"),
        ("columns=" + ",".join(map(str, range(MAX_NAMES + 1))), "more than 1000 columns"),
    ],
)
def test_what_is_no_mask(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match="@mask") as caught:
        parse_mask(text)
    assert fault in str(caught.value)


def test_masks_add_up_and_the_stricter_wins() -> None:
    assert join_masks([]) is None
    assert join_masks([EVERYTHING]) == EVERYTHING
    joined = join_masks([EVERYTHING, MaskObligation(("phone", "email"), ("pin",))])
    assert joined == MaskObligation(("email", "payment_card", "phone"), (*EVERYTHING.columns, "pin"))
    assert join_masks([EVERYTHING, ALL]) == MaskObligation(columns=EVERYTHING.columns)
