# llhttp: the HTTP/1 parser, compiled from the C sources that Debian ships in `node-llhttp`. Nothing is copied in.
#
# LLHTTP_SRC (api.c, http.c, llhttp.c) and LLHTTP_INC (llhttp.h) may point elsewhere; the version must be the pinned one,
# because the tables of what the parser lets pass (and our layer refuses) were made for it.
#
# Sets LLHTTP_CPPFLAGS, for everything that includes llhttp.h, and LLHTTP_OBJ, which goes into the library.

LLHTTP_VERSION := 8.1
LLHTTP_SRC     ?= /usr/share/llhttp
LLHTTP_INC     ?= /usr/share/include/llhttp

# Strict mode: without it the parser accepts `Host :` and unterminated chunks. Header and sources must agree on it.
LLHTTP_CPPFLAGS := -isystem $(LLHTTP_INC) -DLLHTTP_STRICT_MODE=1
LLHTTP_OBJ      := $(addprefix $(OBJ)/third_party/llhttp/,api.o http.o llhttp.o)

# No prerequisite names the sources: on a bare machine `deps` has yet to bring them when make reads this.
$(LLHTTP_OBJ): $(OBJ)/third_party/llhttp/%.o: $(OUT)/flags third_party/llhttp.mk | deps
	@test -r $(LLHTTP_SRC)/$*.c -a -r $(LLHTTP_INC)/llhttp.h || { \
	    echo "llhttp's sources are missing: install node-llhttp, or set LLHTTP_SRC and LLHTTP_INC" >&2; exit 1; }
	@found=$$(awk '$$2 ~ /^LLHTTP_VERSION_(MAJOR|MINOR)$$/ { v = v sep $$3; sep = "." } END { print v }' \
	    $(LLHTTP_INC)/llhttp.h); test "$$found" = $(LLHTTP_VERSION) || { \
	    echo "llhttp $(LLHTTP_VERSION).x is needed, $(LLHTTP_INC)/llhttp.h is $$found" >&2; exit 1; }
	@mkdir -p $(@D)
	$(Q)$(CC) $(OPTFLAGS) $(LLHTTP_CPPFLAGS) -w -c $(LLHTTP_SRC)/$*.c -o $@
