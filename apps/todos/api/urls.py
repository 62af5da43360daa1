"""The routes of the todos app below `/api/`."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
