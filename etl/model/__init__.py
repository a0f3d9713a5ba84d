"""The nouns that the stages hand to each other; everything here is a frozen value.

``origin``: what the source is; ``design``: what the target shall be; ``paging``: rows on their way; ``outcome``: what
happened.
"""

from etl.model.design import (
    CheckPlan,
    ColumnPlan,
    ForeignKeyPlan,
    IndexPlan,
    PgType,
    Plan,
    Reading,
    Statement,
    TablePlan,
)
from etl.model.origin import (
    Affinity,
    IndexTerm,
    SkippedObject,
    SourceCatalog,
    SourceColumn,
    SourceForeignKey,
    SourceIndex,
    SourceTable,
    StorageClass,
)
from etl.model.outcome import (
    Coercion,
    Difference,
    LoadedTable,
    Refusal,
    Verdict,
    VerifiedTable,
)
from etl.model.paging import (
    PlainColumn,
    Slice,
    SourcePage,
    SourceValues,
    SplitColumn,
    TargetPage,
)

__all__ = [
    "Affinity",
    "CheckPlan",
    "Coercion",
    "ColumnPlan",
    "Difference",
    "ForeignKeyPlan",
    "IndexPlan",
    "IndexTerm",
    "LoadedTable",
    "PgType",
    "PlainColumn",
    "Plan",
    "Reading",
    "Refusal",
    "SkippedObject",
    "Slice",
    "SourceCatalog",
    "SourceColumn",
    "SourceForeignKey",
    "SourceIndex",
    "SourcePage",
    "SourceTable",
    "SourceValues",
    "SplitColumn",
    "Statement",
    "StorageClass",
    "TablePlan",
    "TargetPage",
    "Verdict",
    "VerifiedTable",
]
