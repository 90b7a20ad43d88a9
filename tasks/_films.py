"""Films, their directors and actors as graphs: MAGNN's IMDB from its raw file, and the films that Bokeh packages.

A film's class is the first of its genres that is one of action, comedy and drama; films with none of them, or without a
director or actor, are left out.

IMDB, as MAGNN's preprocess_IMDB.ipynb has it: 4278 films, 2081 directors, 5257 actors; words of the plot keywords that
two films have, and of a director or an actor the mean of the films'; MAGNN's draw of 400, 400 and 3478 films.
Bokeh's films are another data set, under CC0: actors who are in three films at least; of a film its decade, rating,
languages, countries, and words of its title that three films have; directors and actors are known by their numbers.
2000 films are train and 1000 dev, in the order of the sha256 of their numbers, and the others test.
"""

from __future__ import annotations

import csv
import hashlib
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.data.graphs import Graph
from bench.sources import DataError, filled, find_columns, package_file
from bench.tasks._dblp import drawn, incidence
from bench.tasks._graph_files import Read, bags, both_ways, numbered, there_and_back

CLASSES = ("Action", "Comedy", "Drama")
COLUMNS = ("genres", "director_name", "actor_1_name", "actor_2_name", "actor_3_name", "plot_keywords")
WORD = re.compile(r"\b\w\w+\b")  # scikit-learn's CountVectorizer, in lower case


class Film(NamedTuple):
    """One film. `words`: what it is described with."""

    number: str
    label: int
    directors: tuple[str, ...]
    actors: tuple[str, ...]
    words: tuple[str, ...]


def label_of(genres: Iterable[str]) -> int:
    """-1: none of the classes."""
    return next((CLASSES.index(g) for g in genres if g in CLASSES), -1)


def imdb(folder: Path) -> Read:
    """movie_metadata.csv. DataError: not valid."""
    path = folder / "movie_metadata.csv"
    films = [film for film in of_csv(path) if film.label >= 0 and film.actors and film.directors]
    words = bags([film.words for film in films], 2)
    return graph_of_films(films, words, None, drawn(len(films), 400, 3478))


def of_csv(path: Path) -> Iterable[Film]:
    """Films whose first actor is named; without director or actor those fields are empty."""
    reader = csv.reader((line + "\n" for line in filled(path)), strict=True)
    try:
        places = find_columns(COLUMNS, next(reader), str(path))
        for row in filter(None, reader):
            if len(row) <= max(places):
                raise DataError(f"{path}, line {reader.line_num}: {len(row)} columns, expected more")
            genres, director, *actors, keywords = (row[at] for at in places)
            words = tuple(WORD.findall(keywords.lower()))
            cast = tuple(filter(None, actors)) if actors[0] else ()
            yield Film(str(reader.line_num), label_of(genres.split("|")), tuple(filter(None, [director])), cast, words)
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not valid CSV ({error})") from None


def packaged() -> Read:
    """The films that the package bokeh-sampledata ships. DataError: it is not installed."""
    try:
        path = package_file("bokeh_sampledata", "_data/movies.db")
    except DataError as error:
        raise DataError(f"{error}; or pip install 'bench-kd[graphs]'") from None
    films = [film for film in of_database(path) if film.label >= 0 and film.directors and film.actors]
    often = Counter(actor for film in films for actor in set(film.actors))
    films = [film._replace(actors=tuple(a for a in film.actors if often[a] >= 3)) for film in films]
    order = np.array(sorted(range(len(films)), key=lambda n: hashlib.sha256(films[n].number.encode()).digest()))
    bounds = {"train": (0, 2000), "dev": (2000, 3000), "test": (3000, len(films))}
    splits = {name: np.sort(order[start:stop]) for name, (start, stop) in bounds.items()}
    return graph_of_films(films, bags([film.words for film in films], 3), 1, splits)


def of_database(path: Path) -> Iterable[Film]:
    asked = 'select ID, Genre, Director, "Cast", Title, Year, Rating, Language, Country from omdb order by ID'
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        for number, genre, director, cast, title, year, *others in connection.execute(asked):
            words = [f"title {word}" for word in WORD.findall((title or "").lower())]
            words += [f"decade {year // 10}"] if year else []
            words += [f"{at} {v}" for at, cell in enumerate(others) for v in parts(cell)]
            yield Film(str(number), label_of(parts(genre)), parts(director), parts(cast), tuple(words))


def parts(cell: str | None) -> tuple[str, ...]:
    return tuple(part for part in (cell or "").split(", ") if part)


def graph_of_films(films: Sequence[Film], words: Any, alone: int | None, splits: Mapping[str, np.ndarray]) -> Read:
    """`alone`: people are known by their numbers; else by the mean of the words of their films."""
    names = {
        kind: sorted({name for film in films for name in getattr(film, f"{kind}s")}) for kind in ("director", "actor")
    }
    edges, features = {}, {"film": words}
    for kind, known in names.items():
        at = {name: n for n, name in enumerate(known)}
        found = [(row, at[name]) for row, film in enumerate(films) for name in set(getattr(film, f"{kind}s"))]
        edges["film", kind] = tuple(np.array(found, np.int64).reshape(-1, 2).T)
        features[kind] = numbered(len(known)) if alone else means(edges["film", kind], words, len(known))
    relations = both_ways(edges)
    graph = Graph(features, relations, "film", there_and_back(relations, "film"))
    return Read(graph, CLASSES, np.array([film.label for film in films], np.int64), splits)


def means(edges: Any, words: Any, count: int) -> Any:
    """(count, D): of each person the mean of the films' words."""
    from scipy.sparse import diags

    of = incidence(edges, words.shape[0], count).T.tocsr()
    return (diags(1 / np.asarray(of.sum(1)).ravel()) @ of @ words).astype(np.float32).tocsr()
