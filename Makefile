# Larder: `make` builds build/larder.

all:
.PHONY: all
