"""The large company: a million deals and ten million calls within 4 GB of memory."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from orchestration.settings import PROJECT_DIR

LIMIT_GIB = 4.0
_GENERATE = """
    import resource, sys
    from pathlib import Path
    from sources.demo.generator.raw import write_raw_parquet
    write_raw_parquet(Path(sys.argv[1]), "large", 1, "bitrix24:main")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2)
"""


@pytest.mark.long
def test_the_large_company_is_generated_within_its_memory(tmp_path: Path) -> None:
    import pyarrow.dataset as ds

    finished = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_GENERATE), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(finished.stdout.split()[-1]) < LIMIT_GIB
    assert ds.dataset(tmp_path / "deals").count_rows() == pytest.approx(1_000_000, rel=0.02)
    assert ds.dataset(tmp_path / "calls").count_rows() == pytest.approx(10_000_000, rel=0.02)
