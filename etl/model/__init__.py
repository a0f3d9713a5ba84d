"""The nouns that the stages hand to each other; everything here is a frozen value.

``origin``: what the source is; ``design``: what the target shall be; ``paging``: rows on their way; ``outcome``: what
happened; ``census``: what a survey found.
"""

from etl.model.census import ColumnCensus, ColumnSurvey, Orphans, RefusedValues, Span, Spelling, TableSurvey
from etl.model.design import (
    PLAIN_READING,
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
    "PLAIN_READING",
    "Affinity",
    "CheckPlan",
    "Coercion",
    "ColumnCensus",
    "ColumnPlan",
    "ColumnSurvey",
    "Difference",
    "ForeignKeyPlan",
    "IndexPlan",
    "IndexTerm",
    "LoadedTable",
    "Orphans",
    "PgType",
    "PlainColumn",
    "Plan",
    "Reading",
    "Refusal",
    "RefusedValues",
    "SkippedObject",
    "Slice",
    "SourceCatalog",
    "SourceColumn",
    "SourceForeignKey",
    "SourceIndex",
    "SourcePage",
    "SourceTable",
    "SourceValues",
    "Span",
    "Spelling",
    "SplitColumn",
    "Statement",
    "StorageClass",
    "TablePlan",
    "TableSurvey",
    "TargetPage",
    "Verdict",
    "VerifiedTable",
]
