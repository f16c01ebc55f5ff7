#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Fills the tables of a manual page from kernel/calls.def (`@calls NAME`) and
# from the error list of tessera/abi.h (`@errors`).
# usage: man.sh PAGE.2.in > PAGE.2
set -eu
here=$(dirname "$0")
while IFS= read -r line; do
	case $line in
	'@calls '*)
		awk -v out=man -v object="${line#@calls }" -f "$here/gencalls.awk" "$here/../calls.def" ;;
	'@errors')
		sed -n '/^enum error {/,/^};/p' "$here/../include/tessera/abi.h" |
			sed -n 's,^	\(ERR_[A-Z_]*\)\,[	 ]*/\* \(.*\) \*/$,.It Er \1\n\2,p; s,^	\(ERR_[A-Z_]*\)\,$,.It Er \1,p' ;;
	*)
		printf '%s\n' "$line" ;;
	esac
done < "$1"
