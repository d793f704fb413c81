"""The analysis in the folder of a run, and the model beside an analysis."""

from pathlib import Path

from vaelens.errors import VaelensError

_MANIFESTS = ("manifest.json", "unfinished.json")  # of which the second is refused with what to do
_CONFIGURATIONS = ("config.json", "model_config.json")  # of vaelens and diffusers, of Pythae


def analysis_in(folder: Path) -> Path:
    """Finds the folder of the analysis of a run, which is the folder itself or `analysis` in it.

    Raises:
        VaelensError: there is none.
    """
    for candidate in (folder, folder / "analysis"):
        if any((candidate / name).is_file() for name in _MANIFESTS):
            return candidate
    what = f"{str(folder)!r} holds no analysis" if folder.is_dir() else f"there is no folder {str(folder)!r}"
    raise VaelensError(f"{what}; RUN is a folder that vaelens analyse wrote, or that of a model with one inside")


def model_in(folder: Path) -> Path | None:
    """Finds the folder of the model of a run, which is the folder itself or `model` in it. None where there is none."""
    return next((each for each in (folder, folder / "model") if _has_model(each)), None)


def model_beside(analysis: Path, instead: str) -> str:
    """Finds the folder of the model that an analysis lies in or beside, as in a run or a cell of a study.

    Args:
        analysis: the folder of the analysis.
        instead: what to do where there is none, for the error.

    Raises:
        VaelensError: there is none.
    """
    folder = model_in(analysis.resolve().parent)
    if folder is not None:
        return str(folder)
    raise VaelensError(f"no model lies beside the analysis in {str(analysis)!r}; {instead}")


def _has_model(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _CONFIGURATIONS)
