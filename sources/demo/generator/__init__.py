"""The invented company: a believable sales department with known troubles, for demo and tests."""

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
