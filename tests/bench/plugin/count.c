/* SPDX-License-Identifier: MIT */
/*
 * QEMU plugin: how many instructions the machine executes between two marks,
 * whoever executes them: programs, kernel, servers, drivers.  A processor that
 * waits for a disk or a clock executes none, so waiting is no work.
 *
 * A mark is one of two hints that no processor knows, which are NOPs then (Arm
 * ARM, DDI 0487, C6.2: HINT #126 begins, HINT #127 ends a measurement).  At each
 * end a line goes to the file `out`:
 *
 *	<number of the end, from 1> <instructions> <instructions since power-on>
 *
 * With `profile=N` measurement N also leaves <out>.profile, a line for each
 * block of code: <instructions> <virtual address> <first instruction words…>.
 * tests/bench/profile makes functions of it.
 *
 * With `only=MASK/VALUE` (in hexadecimal) only those instructions count whose
 * word under MASK is VALUE.
 *
 *	-plugin count.so,out=FILE[,profile=N][,only=MASK/VALUE]
 *
 * What is declared here is the plugin interface of version 1, as QEMU's manual
 * describes it (docs/devel/tcg-plugins); Debian ships no header of it.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;
enum { CALL_NO_REGISTERS = 0, ADD_U64 = 0 };
typedef void tb_callback(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void exec_callback(unsigned cpu, void *data);
typedef void exit_callback(qemu_plugin_id_t, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, tb_callback *);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, exec_callback *, int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, int op, void *to, uint64_t add);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, exit_callback *, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;
__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info,
    int argc, char **argv);

enum { MARK_BEGIN = 0xd5032fdf, MARK_END = 0xd5032fff, WORDS = 4 };

/* One block as it was translated; only with a profile. */
struct block {
	struct block *next;
	uint64_t address, executed;
	uint32_t word[WORDS];
};

static FILE *out;
static const char *out_name;
static uint64_t executed, begun, number, profiled;
static uint32_t only_mask, only_value;
static struct block *blocks;

static void
begin(unsigned cpu, void *data)
{
	(void)cpu;
	(void)data;
	if (profiled == number + 1) {
		for (struct block *b = blocks; b != NULL; b = b->next)
			b->executed = 0;
	}
	begun = executed;
}

static void
write_profile(void)
{
	char name[4096];
	FILE *f;

	snprintf(name, sizeof(name), "%s.profile", out_name);
	f = fopen(name, "w");
	if (f == NULL) {
		perror(name);
		return;
	}
	for (const struct block *b = blocks; b != NULL; b = b->next) {
		if (b->executed == 0)
			continue;
		fprintf(f, "%" PRIu64 " %016" PRIx64, b->executed, b->address);
		for (unsigned i = 0; i < WORDS; i++)
			fprintf(f, " %08" PRIx32, b->word[i]);
		fputc('\n', f);
	}
	if (fclose(f) != 0)
		perror(name);
}

static void
end(unsigned cpu, void *data)
{
	(void)cpu;
	(void)data;
	number++;
	fprintf(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", number, executed - begun, executed);
	fflush(out);
	if (profiled == number)
		write_profile();
}

static struct block *
block_new(const struct qemu_plugin_tb *tb, size_t count)
{
	struct block *b = calloc(1, sizeof(*b));

	if (b == NULL)
		abort();
	b->address = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0));
	for (size_t i = 0; i < count && i < WORDS; i++)
		memcpy(&b->word[i], qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, i)), sizeof(b->word[i]));
	b->next = blocks;
	blocks = b;
	return b;
}

/* Instruction by instruction: a block that faults half way executed half. */
static void
translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t count = qemu_plugin_tb_n_insns(tb);
	struct block *b = profiled != 0 && count != 0 ? block_new(tb, count) : NULL;

	(void)id;
	for (size_t i = 0; i < count; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint32_t word;

		memcpy(&word, qemu_plugin_insn_data(insn), sizeof(word));
		if ((word & only_mask) == only_value)
			qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD_U64, &executed, 1);
		if (b != NULL)
			qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD_U64, &b->executed, 1);
		if (word == MARK_BEGIN)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, begin, CALL_NO_REGISTERS, NULL);
		else if (word == MARK_END)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, end, CALL_NO_REGISTERS, NULL);
	}
}

static void
finish(qemu_plugin_id_t id, void *data)
{
	(void)id;
	(void)data;
	fclose(out);
}

int
qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "out=", 4) == 0)
			out_name = argv[i] + 4;
		else if (strncmp(argv[i], "profile=", 8) == 0)
			profiled = strtoull(argv[i] + 8, NULL, 10);
		else if (sscanf(argv[i], "only=%" SCNx32 "/%" SCNx32, &only_mask, &only_value) != 2) {
			fprintf(stderr, "count.so: %s: out=FILE, profile=NUMBER or only=MASK/VALUE\n", argv[i]);
			return -1;
		}
	}
	out_name = out_name != NULL ? strdup(out_name) : NULL;
	out = out_name != NULL ? fopen(out_name, "w") : NULL;
	if (out == NULL) {
		perror(out_name != NULL ? out_name : "count.so: out=FILE is missing");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, finish, NULL);
	return 0;
}
