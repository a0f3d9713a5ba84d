"""The tables of a Django application, with every common kind of field."""

from __future__ import annotations

from django.db import models


class Tag(models.Model):
    name = models.CharField(max_length=40, primary_key=True)


class Author(models.Model):
    name = models.CharField(max_length=80, db_index=True)
    email = models.EmailField(unique=True)
    born = models.DateField(null=True)
    joined = models.DateTimeField()
    active = models.BooleanField(default=True)
    balance = models.DecimalField(max_digits=10, decimal_places=2)
    uid = models.UUIDField(unique=True)
    took = models.DurationField(null=True)
    prefs = models.JSONField(default=dict)
    photo = models.BinaryField(null=True)
    wakes = models.TimeField(null=True)
    score = models.FloatField(default=0)
    level = models.PositiveSmallIntegerField(default=1)
    address = models.GenericIPAddressField(null=True)
    mentor = models.ForeignKey("self", null=True, on_delete=models.SET_NULL)


class Book(models.Model):
    title = models.TextField()
    author = models.ForeignKey(Author, on_delete=models.CASCADE)
    tags = models.ManyToManyField(Tag)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["author", "title"], name="one_title_an_author")]
