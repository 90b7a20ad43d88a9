"""Ways to damage a folder of results that a good `bench check` notices from the folder alone.

No damage needs the data or another run to be noticed, and each leaves the rest as it was: a hash is made right again
wherever a damage is to be found by what the file says and not by its hash.
"""

from tests.damage import archives, arrays, files, identity, numbers, samples, text
from tests.damage.tools import Damage, Inapplicable

__all__ = ["DAMAGES", "Damage", "Inapplicable"]

THEMES = (numbers, identity, text, arrays, archives, samples, files)
DAMAGES: list[Damage] = [damage for theme in THEMES for damage in theme.DAMAGES]
