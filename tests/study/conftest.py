import pytest
from study.tiny import PLAN

import vaelens as vl


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "undisturbed"
    vl.Study.from_text(PLAN).run(folder)
    return folder
