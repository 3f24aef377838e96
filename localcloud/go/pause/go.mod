module opstrace.local/tools/pause

go 1.26
