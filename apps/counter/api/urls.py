"""The routes of the counter app below `/api/`."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
