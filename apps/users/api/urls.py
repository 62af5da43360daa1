"""The routes of the users app below `/api/`."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
