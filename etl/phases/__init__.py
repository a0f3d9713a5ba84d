"""The phases of a run, a page each: what ``pipeline.py`` is put together from. With it, they alone know the stages.

inspection (plan, survey, decisions) → loading → constraints → view_building → comparison; filling takes the place of a
staging schema for tables that the application has made; rejections and amending see to rows that are set aside.
"""
