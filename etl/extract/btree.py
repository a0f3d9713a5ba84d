"""The b-tree of a table (fileformat2.html §1.6): from its root to the leaves, which hold the rows in key order.

Invariant: no address leaves its page, whatever the bytes say, and no tree is walked for ever; what a sound tree cannot
hold raises UnusualPageError.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from etl.extract.database_file import Addresses, DatabaseFile, PageBlock, PageNumbers, UnusualPageError

LEAF, INTERIOR = 13, 5  # the first byte of a page of a table's b-tree
LEAF_HEADER_BYTES, INTERIOR_HEADER_BYTES = 8, 12
SMALLEST_CELL_BYTES = 4
MOST_LEVELS = 20  # SQLite's own bound (BTCURSOR_MAX_DEPTH)
PARENTS_AT_ONCE = 64


def read_leaf_numbers(file: DatabaseFile, root: int) -> Iterator[PageNumbers]:
    """The numbers of all leaves of the table in key order, some thousand at a time."""
    block = file.new_block(PARENTS_AT_ONCE)
    level = np.array([root], np.int64)
    if page_kind(file, root, block) == LEAF:
        yield level
        return
    for _ in range(MOST_LEVELS):
        (first_children,) = read_children(file, level[:1], block)
        if page_kind(file, int(first_children[0]), block) == LEAF:
            break
        level = np.concatenate([*read_children(file, level, block)])
        if len(np.unique(level)) != len(level):
            raise UnusualPageError("a page has two parents")
    else:
        raise UnusualPageError("the tree has too many levels")
    leaf_count = 0
    for leaves in read_children(file, level, block):
        leaf_count += len(leaves)
        if leaf_count > file.page_count:
            raise UnusualPageError("the tree has more leaves than the file has pages")
        yield leaves


def read_children(file: DatabaseFile, parents: PageNumbers, block: PageBlock) -> Iterator[PageNumbers]:
    """The pages below these interior pages, in key order."""
    for start in range(0, len(parents), PARENTS_AT_ONCE):
        file.read(parents[start : start + PARENTS_AT_ONCE], block)
        ensure_kind(block, INTERIOR)
        counts = cell_counts(block)
        cells = cell_addresses(block, counts, 0, len(counts), INTERIOR_HEADER_BYTES)
        numbers = block.values(">u4")
        children = np.empty(len(cells) + len(counts), np.int64)
        is_last = np.zeros(len(children), bool)
        is_last[np.cumsum(counts + 1) - 1] = True
        children[~is_last] = numbers[cells]
        children[is_last] = numbers[block.pages + 8]  # the right-most child stands in the page's header
        yield children


def page_kind(file: DatabaseFile, number: int, block: PageBlock) -> int:
    file.read(np.array([number], np.int64), block)
    return int(block.data[block.pages[0]])


def ensure_kind(block: PageBlock, kind: int) -> None:
    if (block.data[block.pages] != kind).any():
        raise UnusualPageError("a page in the table's tree is of another kind than its neighbours")


def cell_counts(block: PageBlock) -> Addresses:
    """How many cells each page of the block has."""
    counts: Addresses = block.values(">u2")[block.pages + 3].astype(np.int64)
    return counts


def cell_addresses(block: PageBlock, counts: Addresses, first: int, end: int, header_bytes: int) -> Addresses:
    """Where the cells of the pages ``first`` to ``end`` begin, in key order."""
    counts = counts[first:end]
    pages = np.repeat(block.pages[first:end], counts)
    before = np.repeat(np.cumsum(counts) - counts, counts)
    places = np.arange(len(pages)) - before
    pointers_end = header_bytes + 2 * counts
    if pointers_end.max(initial=0) > block.usable_bytes:
        raise UnusualPageError("a page has more cells than fit")
    pointers = block.values(">u2")[pages + header_bytes + 2 * places].astype(np.int64)
    if len(pointers) and (
        (pointers < np.repeat(pointers_end, counts)).any() or pointers.max() > block.usable_bytes - SMALLEST_CELL_BYTES
    ):
        raise UnusualPageError("a cell stands outside its page")
    addresses: Addresses = pages + pointers
    return addresses
