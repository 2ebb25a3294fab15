"""What the installation as a whole knows of itself."""

from django.db import models


class BooksCheck(models.Model):
    """The last periodic check of the books; one row. `orders` counts all orders as [side, state, number]."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    at = models.DateTimeField()
    took_ms = models.IntegerField()
    is_balanced = models.BooleanField()
    problems = models.JSONField(default=list)
    figures = models.JSONField(default=dict)
    orders = models.JSONField(default=list)

    def __str__(self) -> str:
        return "balanced" if self.is_balanced else f"{len(self.problems)} problems"
