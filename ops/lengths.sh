#!/bin/sh
# Names each module of more than 450 lines, and ends with 1 when there is one: such a module answers two questions.
set -eu
cd "$(dirname "$0")/.."

find worker models ops tests migrations -name '*.py' -exec awk '
    FNR == 301 { print FILENAME " is longer than 450 lines"; found = 1 }
    END { exit found }' {} +
