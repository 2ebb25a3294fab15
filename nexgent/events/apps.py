from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "nexgent.events"
    label = "events"
