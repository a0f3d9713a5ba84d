"""Records that go on in overflow pages (fileformat2.html §1.6), put together behind the pages of their block.

A chain of overflow pages mostly stands side by side in the file, as it was written; that is tried first, for all chains
at once, and those that stand otherwise are followed page by page, again all at once.
"""

from __future__ import annotations

import numpy as np

from etl.extract.database_file import Addresses, DatabaseFile, PageBlock, PageNumbers, UnusualPageError
from etl.extract.records import Integers, Rows, largest_local

NEXT_BYTES = 4  # at the start of an overflow page: the number of the next one


def with_overflow(file: DatabaseFile, rows: Rows) -> Rows:
    """The rows with every record in one piece; the same rows where they are so already."""
    usable = rows.block.usable_bytes
    large = np.flatnonzero(rows.payloads > largest_local(usable))
    if large.size == 0:
        return rows
    records, payloads = rows.records[large], rows.payloads[large]
    local = local_bytes(payloads, usable)
    if (records + local + NEXT_BYTES > rows.page_ends[large]).any():
        raise UnusualPageError("a record ends outside its page")
    content = usable - NEXT_BYTES
    counts = -(-(payloads - local) // content)
    sizes = local + counts * content  # more than the record: the last page is copied whole
    block = rows.block.extended(int(sizes.sum()))
    pieces = len(rows.block.data) + np.cumsum(sizes) - sizes
    # The local parts are copied with more than is theirs, which the overflow pages then overwrite.
    longest = largest_local(usable)
    locals_ = block.values(f"V{longest}")
    locals_[pieces] = locals_[records]
    chains = read_chains(file, rows.block.values(">u4")[records + local].astype(np.int64), counts)
    targets = np.repeat(pieces + local, counts) + place_in_chain(counts) * content
    block.values(f"V{content}")[targets] = chains.values(f"V{content}")[chains.pages + NEXT_BYTES]
    moved = rows.records.copy()
    moved[large] = pieces
    page_ends = rows.page_ends.copy()
    page_ends[large] = pieces + payloads
    return Rows(block, rows.rowids, rows.payloads, moved, page_ends)


def local_bytes(payloads: Integers, usable_bytes: int) -> Integers:
    """How many bytes of each of these payloads stand in the leaf itself."""
    least = (usable_bytes - 12) * 32 // 255 - 23
    whole_pages = least + (payloads - least) % (usable_bytes - NEXT_BYTES)
    return np.where(whole_pages <= largest_local(usable_bytes), whole_pages, least)


def read_chains(file: DatabaseFile, first: PageNumbers, counts: Integers) -> PageBlock:
    """The pages of some chains, one chain behind the other."""
    places = place_in_chain(counts)
    numbers = np.repeat(first, counts) + places
    block = file.new_block(len(numbers))
    chain = np.repeat(np.arange(len(counts)), counts)
    block.pages = np.arange(len(numbers), dtype=np.int64) * file.page_bytes
    file.read_to(np.minimum(numbers, file.page_count), block, block.pages)
    following = block.values(">u4")
    goes_on = places[1:] > 0
    astray = np.unique(chain[1:][goes_on & (following[block.pages[:-1]] != numbers[1:])])
    starts = np.cumsum(counts) - counts
    for place in range(1, int(counts[astray].max(initial=0))):
        astray = astray[counts[astray] > place]
        pages: Addresses = block.pages[starts[astray] + place]
        file.read_to(following[pages - file.page_bytes].astype(np.int64), block, pages)
    return block


def place_in_chain(counts: Integers) -> Integers:
    """0, 1, 2 … for each chain, one behind the other."""
    starts = np.cumsum(counts) - counts
    places: Integers = np.arange(int(counts.sum())) - np.repeat(starts, counts)
    return places
