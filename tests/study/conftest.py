import pytest

import vaelens as vl
from study.tiny import PLAN


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "undisturbed"
    vl.Study.from_text(PLAN).run(folder)
    return folder
