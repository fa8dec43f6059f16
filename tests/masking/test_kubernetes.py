import json

import pytest

from tests.masking.helpers import masker

YAML = """apiVersion: v1
kind: Secret
metadata:
  name: db
data:
  user.txt: Ym9i  # who
  key: "aHVudGVyMg=="
type: Opaque
---
kind: ConfigMap
data:
  plain: text
"""


def found(text: str) -> list[str]:
    return [text[f.start : f.end] for f in masker().mask_text(text).findings]


def test_every_value_of_a_secret_and_nothing_of_the_rest() -> None:
    assert found(YAML) == ["Ym9i", "aHVudGVyMg=="]


@pytest.mark.parametrize("indent", [None, 2])
def test_as_json(indent: int | None) -> None:
    document = {"kind": "Secret", "data": {"a": "Ym9i", "b": "aHVudGVyMg=="}, "metadata": {"name": "x"}}
    assert found(json.dumps(document, indent=indent)) == ["Ym9i", "aHVudGVyMg=="]


def test_data_before_kind_and_list_of_objects() -> None:
    assert found("data:\n  a: Ym9iYm9i\nkind: Secret\n") == ["Ym9iYm9i"]
    assert found("- kind: Secret\n  stringData:\n    a: plain words\n- kind: Pod\n") == ["plain words"]
