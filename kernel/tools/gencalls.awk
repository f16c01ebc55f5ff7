# SPDX-License-Identifier: MIT
#
# Turns kernel/calls.def into what is derived from it; -v out= says which:
#   calls     numbers of system calls and labels of invocations (tessera/calls.h)
#   stubs     user-space functions, one for each call (tessera/stubs.h)
#   dispatch  the kernel's decoders and tables (kernel/dispatch.h)
#   grammar   what the fuzzer may say (kernel/grammar.h)
#   man       -v object=NAME: the mdoc list of one object's invocations, or of
#             the system calls when object is "syscall"
# POSIX awk only.  A line that is not understood ends the build.

function fail(why)
{
	printf "calls.def:%d: %s: %s\n", NR, why, $0 > "/dev/stderr"
	failed = 1
	exit 1
}

function ctype(kind)
{
	if (kind ~ /^cap:/ || kind == "index" || kind == "u32")
		return "uint32_t"
	if (kind == "bits" || kind == "rights" || kind == "attr")
		return "unsigned"
	if (kind == "type")
		return "enum object_type"
	if (kind ~ /^(u64|addr|bytes|ticks|badge)$/)
		return "uint64_t"
	fail("unknown kind " kind)
}

function captype(kind)
{
	sub(/^cap:/, "", kind)
	sub(/[?].*$/, "", kind)
	sub(/=.*$/, "", kind)
	return kind
}

{
	line = $0
	text = ""
	if (match(line, /"[^"]*"/)) {
		text = substr(line, RSTART + 1, RLENGTH - 2)
		line = substr(line, 1, RSTART - 1)
	}
	sub(/#.*/, "", line)
	n = split(line, f, /[ \t]+/)
	i0 = (n > 0 && f[1] == "") ? 2 : 1
	word = (i0 <= n) ? f[i0] : ""
	a = f[i0 + 1]; b = f[i0 + 2]; c = (i0 + 3 <= n) ? f[i0 + 3] : ""
}
text != "" {
	if (insys) sdoc[nsys] = text
	else doc[ninv] = text
	next
}
word == "" { next }
word == "syscall" {
	nsys++; insys = 1
	snum[nsys] = a; sname[nsys] = b
	next
}
word == "takes" || word == "gives" {
	for (i = i0 + 1; i <= n; i++)
		if (f[i] != "")
			uses[nsys, word, f[i]] = 1
	next
}
word == "object" {
	nobj++; insys = 0
	oname[nobj] = a
	next
}
word == "invoke" {
	ninv++
	iobj[ninv] = nobj; ilabel[ninv] = a; iname[ninv] = b
	last[nobj] = (a > last[nobj]) ? a : last[nobj]
	nargs[ninv] = nres[ninv] = 0
	next
}
word == "arg" {
	k = ++nargs[ninv]
	aname[ninv, k] = a; akind[ninv, k] = b; aright[ninv, k] = c
	ctype(b)
	next
}
word == "result" {
	k = ++nres[ninv]
	rname[ninv, k] = a; rkind[ninv, k] = b
	next
}
word == "right" { iright[ninv] = a; next }
word == "errors" {
	for (i = i0 + 1; i <= n; i++)
		if (f[i] != "")
			ierrors[ninv] = ierrors[ninv] " " f[i]
	next
}
{ fail("not understood") }

function banner(what)
{
	print "/* SPDX-License-Identifier: MIT */"
	print "/* " what "  Generated from kernel/calls.def: do not edit. */"
}

function emit_calls(  i, o)
{
	banner("Numbers of system calls, labels of invocations.")
	print "#ifndef TESSERA_CALLS_H\n#define TESSERA_CALLS_H\n\nenum {"
	for (i = 1; i <= nsys; i++)
		printf "\tSYS_%s = %d,\n", toupper(sname[i]), snum[i]
	printf "\tSYSCALLS = %d,\n};\n", nsys
	for (o = 1; o <= nobj; o++) {
		print "\nenum {"
		for (i = 1; i <= ninv; i++)
			if (iobj[i] == o)
				printf "\t%s_%s = %d,\n", toupper(oname[o]), toupper(iname[i]), ilabel[i]
		print "};"
	}
	print "\n#endif"
}

# Registers of one trap: lists of asm operands, kept in step with abi.h.
function emit_trap(  i, s)
{
	s = "	__asm__ volatile(TESSERA_TRAP\n\t\t: \"+r\"(r0), \"+r\"(r1)"
	for (i = 2; i <= 10; i++)
		s = s ", \"+r\"(r" i ")"
	print s
	print "\t\t:: \"x11\", \"x12\", \"x13\", \"x14\", \"x15\", \"x16\", \"x17\", \"memory\");"
}

function emit_reg(i, value)
{
	printf "\tregister uint64_t r%d __asm__(\"x%d\") = %s;\n", i, i, value
}

function emit_syscall_stub(i,  m, mi, mo, sep, k)
{
	mi = ((i, "takes", "msg") in uses)
	mo = ((i, "gives", "msg") in uses)
	printf "\n/* %s */\nstatic inline enum error\nsys_%s(", sdoc[i], sname[i]
	sep = ""
	if ((i, "takes", "cap") in uses) { printf "uint32_t cap"; sep = ", " }
	if (mi || mo) { printf "%s%sstruct msg *m", sep, (mo ? "" : "const "); sep = ", " }
	if ((i, "takes", "reply") in uses) { printf "%suint32_t reply", sep; sep = ", " }
	if ((i, "takes", "deadline") in uses) { printf "%suint64_t deadline_ticks", sep; sep = ", " }
	if (((i, "gives", "badge") in uses) && !mo) { printf "%suint64_t *badge", sep; sep = ", " }
	if (sep == "") printf "void"
	print ")\n{"
	emit_reg(0, ((i, "takes", "cap") in uses) ? "cap" : "0")
	emit_reg(1, mi ? "m->info" : "0")
	for (k = 0; k < 6; k++)
		emit_reg(k + 2, mi ? "m->words[" k "]" : "0")
	emit_reg(8, "SYS_" toupper(sname[i]))
	emit_reg(9, ((i, "takes", "deadline") in uses) ? "deadline_ticks" : "0")
	emit_reg(10, ((i, "takes", "reply") in uses) ? "reply" : "0")
	print ""
	emit_trap()
	if (mo) {
		print "\tm->info = r1;"
		for (k = 0; k < 6; k++)
			printf "\tm->words[%d] = r%d;\n", k, k + 2
		print "\tm->badge = r8;"
	} else if ((i, "gives", "badge") in uses)
		print "\t*badge = r8;"
	print "\treturn (enum error)r0;\n}"
}

function emit_invoke_stub(i,  o, k, self)
{
	o = oname[iobj[i]]
	self = o
	for (k = 1; k <= nargs[i]; k++)
		if (aname[i, k] == self)
			self = "self"
	printf "\n/* %s */\nstatic inline enum error\n%s_%s(uint32_t %s", doc[i], o, iname[i], self
	for (k = 1; k <= nargs[i]; k++)
		printf ", %s %s", ctype(akind[i, k]), aname[i, k]
	for (k = 1; k <= nres[i]; k++)
		printf ", %s *%s", ctype(rkind[i, k]), rname[i, k]
	print ")\n{"
	emit_reg(0, self)
	emit_reg(1, "MSG_INFO(" toupper(o) "_" toupper(iname[i]) ", " nargs[i] ", 0)")
	for (k = 0; k < 6; k++)
		emit_reg(k + 2, k < nargs[i] ? aname[i, k + 1] : "0")
	emit_reg(8, "SYS_CALL")
	emit_reg(9, "0")
	emit_reg(10, "0")
	print ""
	emit_trap()
	for (k = 1; k <= nres[i]; k++)
		printf "\t*%s = (%s)r%d;\n", rname[i, k], ctype(rkind[i, k]), k + 1
	print "\treturn (enum error)r0;\n}"
}

function emit_stubs(  i)
{
	banner("User-space side of every system call and invocation.")
	print "#ifndef TESSERA_STUBS_H\n#define TESSERA_STUBS_H\n"
	print "#include <tessera/abi.h>\n#include <tessera/calls.h>\n"
	print "/* A component at EL0 calls by SVC, a personality at EL1 by HVC. */"
	print "#ifdef TESSERA_PERSONALITY\n#define TESSERA_TRAP \"hvc #0\"\n#else\n#define TESSERA_TRAP \"svc #0\"\n#endif\n"
	print "/* What travels in registers; words from 6 on are in the IPC buffer. */"
	print "struct msg {\n\tuint64_t info;\t\t/* MSG_INFO(label, words, caps) */"
	print "\tuint64_t words[MSG_WORDS_REG];\n\tuint64_t badge;\t\t/* of the sender, after a receive */\n};"
	for (i = 1; i <= nsys; i++)
		emit_syscall_stub(i)
	for (i = 1; i <= ninv; i++)
		emit_invoke_stub(i)
	print "\n#undef TESSERA_TRAP\n#endif"
}

# The kernel's side.  A decoder checks the rights of the capability invoked,
# finds the capabilities that the arguments name, and calls <object>_<name>.
function kparam(i, k,  kind, t)
{
	kind = akind[i, k]
	if (kind ~ /^cap:cnode=own/)
		return "struct cnode *" aname[i, k]
	if (kind ~ /^cap:/)
		return "struct slot *" aname[i, k]
	return "uint64_t " aname[i, k]
}

function emit_decoder(i,  o, k, kind, args, r)
{
	o = oname[iobj[i]]
	printf "\nstatic enum error\ndecode_%s_%s(struct thread *caller, struct slot *self)\n{\n", o, iname[i]
	for (k = 1; k <= nargs[i]; k++)
		if (akind[i, k] ~ /^cap:/) {
			printf "\t%s;\n", kparam(i, k)
			r = 1
		}
	if (r)
		print "\tenum error e;\n"
	if (iright[i] != "")
		printf "\tif (!(self->rights & RIGHT_%s))\n\t\treturn ERR_RIGHTS;\n", iright[i]
	for (k = 1; k <= nargs[i]; k++) {
		kind = akind[i, k]
		if (kind !~ /^cap:/)
			continue
		if (kind ~ /=own/)
			printf "\te = arg_cnode(caller, msg_word(caller, %d), %s, &%s);\n", k - 1, \
				"RIGHT_" aright[i, k], aname[i, k]
		else
			printf "\te = %s(caller, msg_word(caller, %d), OBJ_%s, %s, &%s);\n", \
				(kind ~ /\?/) ? "arg_cap_or_none" : "arg_cap", k - 1, toupper(captype(kind)), \
				aright[i, k] == "" ? "0" : "RIGHT_" aright[i, k], aname[i, k]
		print "\tif (e != OK)\n\t\treturn e;"
	}
	args = "caller, self"
	for (k = 1; k <= nargs[i]; k++)
		args = args ", " (akind[i, k] ~ /^cap:/ ? aname[i, k] : "msg_word(caller, " (k - 1) ")")
	printf "\treturn %s_%s(%s);\n}\n", o, iname[i], args
}

function emit_dispatch(  i, o, k)
{
	banner("The kernel's decoders of invocations and their table.")
	for (i = 1; i <= ninv; i++) {
		printf "enum error %s_%s(struct thread *caller, struct slot *self", oname[iobj[i]], iname[i]
		for (k = 1; k <= nargs[i]; k++)
			printf ", %s", kparam(i, k)
		print ");"
	}
	print "\n#ifdef DISPATCH_TABLES"
	for (i = 1; i <= ninv; i++)
		emit_decoder(i)
	max = 0
	for (o = 1; o <= nobj; o++)
		if (last[o] > max)
			max = last[o]
	printf "\nenum { INVOKE_LABELS = %d };\n", max + 1
	print "static invoke_fn *const invoke_table[OBJECT_TYPES][INVOKE_LABELS] = {"
	for (i = 1; i <= ninv; i++)
		printf "\t[OBJ_%s][%d] = decode_%s_%s,\n", toupper(oname[iobj[i]]), ilabel[i], \
			oname[iobj[i]], iname[i]
	print "};\n#endif"
}

function emit_grammar(  i, k, kind, what)
{
	banner("What can be said to the kernel: the fuzzer's grammar.")
	print "struct grammar_arg { enum { ARG_NONE, ARG_CAP, ARG_INDEX, ARG_NUMBER, ARG_BITS, ARG_ADDR,"
	print "\tARG_BYTES, ARG_TICKS, ARG_TYPE, ARG_RIGHTS, ARG_BADGE, ARG_ATTR } kind; unsigned type; };"
	print "static const struct grammar { unsigned type, label; const char *name; struct grammar_arg arg[6]; } grammar[] = {"
	for (i = 1; i <= ninv; i++) {
		printf "\t{ OBJ_%s, %d, \"%s_%s\", {", toupper(oname[iobj[i]]), ilabel[i], oname[iobj[i]], iname[i]
		for (k = 1; k <= nargs[i]; k++) {
			kind = akind[i, k]
			if (kind ~ /^cap:/)
				printf " { ARG_CAP, OBJ_%s },", toupper(captype(kind))
			else if (kind ~ /^u/)
				printf " { ARG_NUMBER, 0 },"
			else
				printf " { ARG_%s, 0 },", toupper(kind)
		}
		print " } },"
	}
	print "};"
	print "enum { TAKES_CAP = 1, TAKES_MSG = 2, TAKES_REPLY = 4, TAKES_DEADLINE = 8 };"
	print "static const struct grammar_syscall { unsigned number, takes; const char *name; }"
	print "\tgrammar_syscalls[] __attribute__((unused)) = {"
	for (i = 1; i <= nsys; i++) {
		printf "\t{ SYS_%s, 0", toupper(sname[i])
		for (k = split("cap msg reply deadline", what, " "); k > 0; k--)
			if ((i, "takes", what[k]) in uses)
				printf " | TAKES_%s", toupper(what[k])
		printf ", \"%s\" },\n", sname[i]
	}
	print "};"
}

function mdoc_errors(list,  e, n, j, s)
{
	n = split(list, e, " ")
	for (j = 1; j <= n; j++)
		s = s (j > 1 ? " ,\n" : "") ".Er " e[j]
	return s
}

# mdoc wants each sentence on a line of its own.
function sentences(s)
{
	gsub(/[.] /, ".\n", s)
	return s
}

function emit_man(  i, k, o)
{
	if (object == "syscall") {
		for (i = 1; i <= nsys; i++)
			printf ".It Fn sys_%s\nNumber %d.\n%s\n", sname[i], snum[i], sentences(sdoc[i])
		return
	}
	for (i = 1; i <= ninv; i++) {
		o = oname[iobj[i]]
		if (o != object)
			continue
		printf ".It Fn %s_%s", o, iname[i]
		for (k = 1; k <= nargs[i]; k++)
			printf " \"%s %s\"", ctype(akind[i, k]), aname[i, k]
		for (k = 1; k <= nres[i]; k++)
			printf " \"%s *%s\"", ctype(rkind[i, k]), rname[i, k]
		printf "\nLabel %d", ilabel[i]
		if (iright[i] != "")
			printf ", needs\n.Dv RIGHT_%s", iright[i]
		print " .\n" sentences(doc[i])
		if (ierrors[i] != "")
			printf "Errors:\n%s .\n", mdoc_errors(ierrors[i])
	}
}

END {
	if (failed)
		exit 1
	if (out == "calls") emit_calls()
	else if (out == "stubs") emit_stubs()
	else if (out == "dispatch") emit_dispatch()
	else if (out == "grammar") emit_grammar()
	else if (out == "man") emit_man()
	else {
		print "gencalls.awk: -v out=calls|stubs|dispatch|grammar|man" > "/dev/stderr"
		exit 1
	}
}
