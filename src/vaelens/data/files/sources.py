"""The official files of the benchmarks by dataset, with addresses, sizes, hashes, licences and citations.

Plain records and nothing else: no file is read here, and nothing heavy is imported.
"""

from vaelens.data.annotations import Name
from vaelens.data.files.source import Need, Source, SourceFile
from vaelens.errors import VaelensError, unknown

DSPRITES = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64"
DSPRITES_PAGES = (
    "https://github.com/google-deepmind/dsprites-dataset/raw/master",
    "https://raw.githubusercontent.com/google-deepmind/dsprites-dataset/master",
    "https://github.com/deepmind/dsprites-dataset/raw/master",
)


def _dsprites(ending: str, hash: str, size: int | None = None) -> SourceFile:
    name = f"{DSPRITES}{ending}"
    return SourceFile(name, tuple(f"{page}/{name}" for page in DSPRITES_PAGES), size, hash)


MPI3D_PAGES = (
    "https://huggingface.co/datasets/waleedgondal/mpi3d/resolve/main",
    "https://storage.googleapis.com/disentanglement_dataset/Final_Dataset",
)


def _mpi3d(variant: str, rows: int, md5: str = "") -> Need:
    name = f"mpi3d_{variant}.npz"
    addresses = tuple(f"{page}/{name}" for page in MPI3D_PAGES) if md5 else ()
    most = rows * 64 * 64 * 3 + 2**10  # and a header
    return Need((SourceFile(name, addresses, None, f"md5:{md5}" if md5 else "", most=most),), variant)


SMALLNORB = {
    "train": "smallnorb-5x46789x9x18x6x2x96x96-training",
    "test": "smallnorb-5x01235x9x18x6x2x96x96-testing",
}


def _smallnorb(split: str, part: str, packed: tuple[int, str], unpacked: tuple[int, str]) -> Need:
    name = f"{SMALLNORB[split]}-{part}.mat"
    forms = SourceFile(f"{name}.gz", (), packed[0], f"sha256:{packed[1]}")
    return Need((forms, SourceFile(name, (), unpacked[0], f"sha256:{unpacked[1]}")))


_CATEGORIES = (97_220, "591ed90c090cb6724593e8de28180bd602095ee8ec82bd1a5ca30b488cd1d06e")

SOURCES: dict[str, Source] = {
    "dsprites": Source(
        needs=(
            Need(
                (
                    _dsprites(".npz", "git:d98996d3f8ee1550e06b9d4ed78d0beb478910d5"),
                    _dsprites(
                        ".hdf5", "sha256:729fa22e884c9c500e1f17415d580746b4c5894fbbb780a1319bbcfa39a745bb", 28_024_106
                    ),
                )
            ),
        ),
        licence="Apache-2.0",
        citation="Matthey, Higgins, Hassabis, Lerchner. dSprites: Disentanglement testing Sprites dataset. 2017",
        page="https://github.com/google-deepmind/dsprites-dataset",
    ),
    "shapes3d": Source(
        needs=(
            Need(
                (
                    SourceFile(
                        "3dshapes.h5",
                        ("https://storage.googleapis.com/3d-shapes/3dshapes.h5",),
                        267_573_662,
                        "sha256:0a0f6ed98baff276a50f3a081a7434d788da63cb135a98189b2a5b5769be1785",
                    ),
                )
            ),
        ),
        licence="Apache-2.0",
        citation="Burgess, Kim. 3D Shapes Dataset. 2018",
        page="https://github.com/google-deepmind/3d-shapes",
    ),
    "mpi3d": Source(
        needs=(
            _mpi3d("toy", 1_036_800, "55889cb7c7dfc655d6e0277beee88868"),
            _mpi3d("realistic", 1_036_800, "59a6225b88b635365f70c91b3e52f70f"),
            _mpi3d("real", 1_036_800, "0f33f609918fb5c97996692f91129802"),
            _mpi3d("real_complex", 460_800),
        ),
        licence="CC BY 4.0",
        citation=(
            "Gondal et al. On the Transfer of Inductive Bias from Simulation to the Real World: "
            "a New Disentanglement Dataset. NeurIPS 2019"
        ),
        page="https://github.com/rr-learning/disentanglement_dataset",
    ),
    "smallnorb": Source(
        needs=(
            _smallnorb(
                "train",
                "dat",
                (131_896_188, "5ffd6272a07d32695ee1082a26a41a93a37aab8c28da047f8c34ed348d214873"),
                (447_897_624, "4813bf104d229583fea8ed57fdc3e9258c927b8dfb43d75412e854a7a9588067"),
            ),
            _smallnorb(
                "train",
                "cat",
                (348, "2784e542c1922060691090952b6cd6278879a216c90f81476f0f00256d42cdaa"),
                _CATEGORIES,
            ),
            _smallnorb(
                "train",
                "info",
                (71_052, "de7eb932ebe7a4ee16217fead60660d0eb3d23632c2f4d1c51f88c501c17bf32"),
                (388_820, "6b4075d3800ba0c6fa8c46a02f672572abe7b93f7ed82fb7668354a99ef03306"),
            ),
            _smallnorb(
                "test",
                "dat",
                (130_799_817, "cf7104eed3e51174d2f65b66d1e5878b9da233b886f161b0d88f4510ba2c7474"),
                (447_897_624, "2b1de646c57ffdc259b8fb973a6453e90915248a8fdb4d9df948786bdae72b34"),
            ),
            _smallnorb(
                "test",
                "cat",
                (347, "ecaf6d5bb8c3bc5eab9cf0258f6d2198dd474e016e374836fc097f2e5ff509ff"),
                _CATEGORIES,
            ),
            _smallnorb(
                "test",
                "info",
                (10_428, "16adf314226327ee006d1a44db8cfef52773c06c829951d5653a9f6f310248a2"),
                (388_820, "318f817236b7c97af03cd90e07a9cbb4346e20ef83a1118a61eeb50e3b96db7e"),
            ),
        ),
        licence="research only, may not be sold (New York University)",
        citation="LeCun, Huang, Bottou. Learning methods for generic object recognition with invariance. CVPR 2004",
        page="https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/",
        agreement=True,
    ),
    "celeba": Source(
        needs=(
            Need(
                (
                    SourceFile(
                        "img_align_celeba.zip",
                        (),
                        1_443_490_838,
                        "sha256:46fb89443c578308acf364d7d379fe1b9efb793042c0af734b6112e4fd3a8c74",
                    ),
                    SourceFile("img_align_celeba", pictures=202_599),
                )
            ),
            Need(
                (
                    SourceFile(
                        "list_attr_celeba.txt",
                        (),
                        26_721_026,
                        "sha256:f0e5da289d5ccf75ffe8811132694922b60f2af59256ed362afa03fefba324d0",
                    ),
                )
            ),
            Need((SourceFile("list_eval_partition.txt", (), None, "md5:d32c9cbf5e040fd4025c592c306e6668"),)),
        ),
        licence="non-commercial research only, under an agreement (CUHK Multimedia Laboratory)",
        citation="Liu, Luo, Wang, Tang. Deep Learning Face Attributes in the Wild. ICCV 2015",
        page="http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        agreement=True,
    ),
}


def source_of(name: Name) -> Source:
    """Looks up where the named dataset comes from.

    Raises:
        VaelensError: If no dataset of that name is read from files.

    Example:
        >>> source_of("mpi3d").variants
        ('toy', 'realistic', 'real', 'real_complex')
    """
    if not isinstance(name, str) or name not in SOURCES:
        message = str(unknown("dataset that is read from files", name, SOURCES))
        raise VaelensError(f"{message}{' The' if message.endswith('?') else '; the'} others need no download")
    return SOURCES[name]
