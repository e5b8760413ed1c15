"""Hosts: thin adapters that let one session steer a framework's training."""
