# OctoNAS. `make help` lists what there is.
.POSIX:
CARGO = cargo
HOST =

.PHONY: help demo build test check fmt test-outputs test-host test-omv test-long bench deb man clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|'

demo: ## build, and run the example experiment on an embedded NAS in ./demo
	@tests/need demo
	@examples/demo.sh

build: ## the programs, optimised, in target/release
	@tests/need build
	$(CARGO) build --release --locked

test: ## unit tests, end-to-end tests on the embedded NAS, tests against the double of omv-engined
	@tests/need test
	$(CARGO) test --locked --features faults
	tests/synckit/run -q

check: ## formatting, lints, architecture, and the plugin's files
	@tests/need check
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets --features faults -- -D warnings
	$(CARGO) test --locked --features faults --test architecture
	tests/plugin/check

test-outputs: ## documents, plans, packages and sample data before other people's validators, the probe on other people's files (PyPI)
	@tests/need outputs
	$(CARGO) build --locked --bins
	tests/documents/run
	tests/dmp/run
	tests/probe/run
	tests/bags/run

test-host: ## the wall by real clients, on a Debian 13 booted in a container (root)
	tests/host/run

test-omv: ## everything on a real OpenMediaVault 8: make test-omv HOST=root@nas
	@test -n "$(HOST)" || { echo "name the host: make test-omv HOST=root@nas (its data is kept, but use a test machine)"; exit 2; }
	tests/omv/run "$(HOST)"

test-long: ## fuzzing and long races
	tests/long/run

bench: ## start-up, create, list, check, scan, verify, packages: ratios and counts
	tests/bench/run
	tests/bench/synckit
	tests/bench/integrity
	tests/bench/bags

deb: ## the Debian packages, in dist/
	@tests/need deb
	debian/build

man: ## the manual pages, in target/man
	$(CARGO) run --locked --quiet -- generate man target/man

clean: ## what was built
	$(CARGO) clean
	rm -rf dist
