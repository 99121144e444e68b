"""CITATION.cff says what pyproject.toml says."""

import tomllib

import yaml

from tests.checkout import ROOT


def test_the_citation_is_of_this_package() -> None:
    told = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert told["cff-version"] == "1.2.0"
    assert {"message", "authors"} <= told.keys()
    assert told["title"].lower() == project["name"]
    assert (told["version"], told["license"]) == (project["version"], project["license"])
    assert (told["abstract"], told["keywords"]) == (project["description"], project["keywords"])
