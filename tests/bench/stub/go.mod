module kompensa.dev/bench/stub

go 1.25
