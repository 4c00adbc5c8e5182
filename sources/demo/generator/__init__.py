"""The invented company: a believable sales department with known troubles, for demo and tests.

`write_raw_parquet` stands in `sources.demo.generator.raw`: it needs the declared raw tables, and
with them dlt, which takes two seconds to import.
"""

from sources.demo.generator.company import PlantedTroubles, generate, write_store
from sources.demo.generator.frames import Chunk
from sources.demo.generator.sizes import SIZES, CompanySize
from sources.demo.generator.troubles import TROUBLES

__all__ = [
    "SIZES",
    "TROUBLES",
    "Chunk",
    "CompanySize",
    "PlantedTroubles",
    "generate",
    "write_store",
]
