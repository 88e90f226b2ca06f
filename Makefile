# The front door. Meson and ninja do the building; see README.md.
BUILD = build
MESON_DIR = $(BUILD)/meson
PREFIX ?= /usr
DESTDIR ?=

all: $(MESON_DIR)/build.ninja
	@ninja -C $(MESON_DIR)
	@tools/link_programs.sh $(MESON_DIR) $(BUILD)

$(MESON_DIR)/build.ninja:
	@tools/install_packages.sh build
	@meson setup $(MESON_DIR) --prefix=$(PREFIX)

# Initialises an instance under run/, starts it, and sends four messages through it.
run: all
	@tools/install_packages.sh run
	@tools/demo.py start

stop:
	@tools/demo.py stop

check:
	@tools/install_packages.sh build
	@tools/install_packages.sh run
	@tools/install_packages.sh check
	@tools/install_packages.sh deb
	@tools/check.py

lint:
	@tools/install_packages.sh build
	@tools/install_packages.sh check
	@tools/lint.py

# FUZZ_SECONDS for each target.
FUZZ_SECONDS ?= 300
fuzz:
	@tools/install_packages.sh build
	@tools/install_packages.sh check
	@tools/fuzz.py $(FUZZ_SECONDS)

# Debian's Postfix and ours in turn, into bench/results; needs root. Parts: bench/run.py --help.
bench: all
	@tools/install_packages.sh bench
	@bench/run.py

# How qmgr schedules a long list, in virtual time: build/schedule.svg.
schedule: all
	@bench/schedule.py $(MESON_DIR)/src/qmgr/schedule_plot build/schedule.svg

# The same words and worlds for Debian's Postfix and for ours, compared (tests/compat); needs root.
compat: all
	@tools/install_packages.sh run
	@tools/install_packages.sh check
	@tests/compat/run.py

# The queue's protocol, all states of a bounded model (model/README.md).
model:
	@tools/install_packages.sh check
	@model/check_model.py DEATHS=0

soak: all
	@tools/install_packages.sh run
	@tools/install_packages.sh check
	@tools/check.py --soak

install: all
	@DESTDIR=$(DESTDIR) tools/install.sh $(BUILD) $(MESON_DIR)

# A package that provides mail-transport-agent, in build/deb.
deb:
	@tools/install_packages.sh build
	@tools/install_packages.sh deb
	@tools/deb.sh $(BUILD)/deb

clean:
	rm -rf $(BUILD)

.PHONY: all run stop check lint fuzz bench schedule compat model soak install deb clean
