from django.apps import AppConfig


class TradingConfig(AppConfig):
    name = "trading"

    def ready(self) -> None:
        from trading import live
        from trading.engine import processes
        from trading.venues import simulated

        simulated.register_profiles()
        processes.connect()
        live.register()
