from django.apps import AppConfig


class RuntimeConfig(AppConfig):
    name = "nexgent.runtime"
    label = "runtime"

    def ready(self) -> None:
        from nexgent.events import bell
        from nexgent.runtime import counters
        from trading.engine import locks

        counters.follow(lambda: {("bells", outcome): number for outcome, number in bell.counts().items()})
        counters.follow(lambda: {("repeats", cause): number for cause, number in dict(locks.repeats).items()})
