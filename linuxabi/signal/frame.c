/* SPDX-License-Identifier: MIT */
/*
 * The signal frame of AArch64 as Linux lays it out (<asm/sigcontext.h>,
 * <asm/ucontext.h>), known to unwinders, gdb, Go and V8:
 *
 *	sp ->	siginfo, ucontext (sigcontext with fpsimd_context and, after a
 *		fault, esr_context in __reserved, ended by an empty record)
 *	x29 ->	frame record: the interrupted x29 and x30
 *
 * Whatever comes back through rt_sigreturn is a program's invention: lengths are
 * checked, and of pstate only the condition flags are taken.
 */
#include <asm/sigcontext.h>
#include <asm/signal.h>
#include <asm/ucontext.h>
#include <linux/signal.h>

#include "frame.h"
#include "signal_internal.h"

/* The part of ucontext.__reserved that is ever used. */
struct frame_records {
	struct fpsimd_context fp;
	struct _aarch64_ctx end;
};

struct frame {
	siginfo_t info;
	struct ucontext uc;
};

struct frame_record {
	uint64_t fp, lr;
};

enum { FRAME_USED = offsetof(struct frame, uc.uc_mcontext.__reserved) + sizeof(struct frame_records) };
#define PSTATE_USER	0xf0000000UL	/* N Z C V */

_Static_assert(sizeof(siginfo_t) == 128, "siginfo");
_Static_assert(sizeof(struct ucontext) == 4560, "ucontext");
_Static_assert(sizeof(struct fpsimd_context) == 528, "fpsimd_context");

static bool
on_altstack(const struct task *t, uaddr_t sp)
{
	return t->sigalt_size != 0 && sp > t->sigalt_sp && sp <= t->sigalt_sp + t->sigalt_size;
}

bool
signal_on_altstack(const struct task *t)
{
	if ((t->sigalt_flags & SS_AUTODISARM_) != 0)
		return false;
	return on_altstack(t, t->regs->sp);
}

static uaddr_t
frame_stack(const struct task *t, const struct sigact *act, const struct regs *r)
{
	uaddr_t sp = r->sp;

	if ((act->flags & SA_ONSTACK) != 0 && t->sigalt_size != 0 && !on_altstack(t, sp))
		sp = t->sigalt_sp + t->sigalt_size;
	return sp & ~15UL;
}

static void
frame_fill(struct frame *f, struct task *t, const struct regs *r, sigmask_t mask)
{
	struct sigcontext *mc = &f->uc.uc_mcontext;
	struct frame_records *rec = (struct frame_records *)(void *)mc->__reserved;

	f->uc.uc_flags = 0;
	f->uc.uc_link = NULL;
	f->uc.uc_stack.ss_sp = (void *)t->sigalt_sp;
	f->uc.uc_stack.ss_flags = t->sigalt_size == 0 ? SS_DISABLE
	    : on_altstack(t, r->sp) ? SS_ONSTACK : 0;
	f->uc.uc_stack.ss_flags |= (int)(t->sigalt_flags & SS_AUTODISARM_);
	f->uc.uc_stack.ss_size = t->sigalt_size;
	memcpy(&f->uc.uc_sigmask, &mask, sizeof(mask));
	memset((char *)&f->uc.uc_sigmask + sizeof(mask), 0,
	    offsetof(struct ucontext, uc_mcontext) - offsetof(struct ucontext, uc_sigmask) - sizeof(mask));
	memset(mc, 0, offsetof(struct sigcontext, __reserved));
	mc->fault_address = f->info.si_signo == SIGSEGV || f->info.si_signo == SIGBUS
	    ? (uint64_t)f->info.si_addr : 0;
	memcpy(mc->regs, r->x, sizeof(mc->regs));
	mc->sp = r->sp;
	mc->pc = r->pc;
	mc->pstate = r->pstate;

	arch_fp_save(t);
	rec->fp.head.magic = FPSIMD_MAGIC;
	rec->fp.head.size = sizeof(rec->fp);
	rec->fp.fpsr = t->fp.fpsr;
	rec->fp.fpcr = t->fp.fpcr;
	memcpy(rec->fp.vregs, t->fp.v, sizeof(rec->fp.vregs));
	rec->end.magic = 0;
	rec->end.size = 0;
}

long
frame_push(struct regs *r, int sig, const struct sigact *act, const siginfo_t *info, sigmask_t mask)
{
	struct task *t = current;
	struct frame f;
	struct frame_record link = { r->x[29], r->x[30] };
	uaddr_t sp = frame_stack(t, act, r);
	uaddr_t record = sp - sizeof(link);
	uaddr_t frame = record - sizeof(struct frame);

	if (sp > TASK_SIZE || sp < sizeof(link) + sizeof(struct frame))
		return -EFAULT;
	/* An alternate stack that is too small must not be left at its end. */
	if (on_altstack(t, r->sp) && !on_altstack(t, frame + 1))
		return -EFAULT;
	f.info = *info;
	frame_fill(&f, t, r, mask);
	if (copy_to_user(frame, &f, FRAME_USED) != 0 ||
	    copy_to_user(record, &link, sizeof(link)) != 0)
		return -EFAULT;

	if ((t->sigalt_flags & SS_AUTODISARM_) != 0 && (act->flags & SA_ONSTACK) != 0) {
		t->sigalt_sp = t->sigalt_size = 0;
		t->sigalt_flags = 0;
	}
	r->x[0] = (uint64_t)sig;
	r->x[1] = frame + offsetof(struct frame, info);
	r->x[2] = frame + offsetof(struct frame, uc);
	r->x[29] = record;
	r->x[30] = (act->flags & SA_RESTORER_) != 0 ? act->restorer : mm_vdso_sigreturn(t->mm);
	r->sp = frame;
	r->pc = act->handler;
	r->pstate &= ~PSTATE_USER;
	return 0;
}

/* fpsimd_context must be there, as on Linux; other records are skipped. */
static const struct fpsimd_context *
frame_find_fp(const struct sigcontext *mc)
{
	size_t at = 0;

	while (at + sizeof(struct _aarch64_ctx) <= sizeof(mc->__reserved)) {
		const struct _aarch64_ctx *c = (const void *)&mc->__reserved[at];

		if (c->magic == 0)
			return NULL;
		if (c->size < sizeof(*c) || c->size > sizeof(mc->__reserved) - at || c->size % 16 != 0)
			return NULL;
		if (c->magic == FPSIMD_MAGIC)
			return c->size == sizeof(struct fpsimd_context) ? (const void *)c : NULL;
		at += c->size;
	}
	return NULL;
}

static void
frame_restore(struct task *t, struct regs *r, const struct frame *f, const struct fpsimd_context *fp)
{
	const struct sigcontext *mc = &f->uc.uc_mcontext;

	memcpy(r->x, mc->regs, sizeof(mc->regs));
	r->sp = mc->sp;
	r->pc = mc->pc;
	r->pstate = (r->pstate & ~PSTATE_USER) | (mc->pstate & PSTATE_USER);
	r->syscall = -1;

	arch_fp_save(t);
	memcpy(t->fp.v, fp->vregs, sizeof(t->fp.v));
	t->fp.fpsr = fp->fpsr;
	t->fp.fpcr = fp->fpcr;
	arch_fp_reload(t);
}

long
frame_pop(struct regs *r)
{
	struct task *t = current;
	struct frame f;
	const struct fpsimd_context *fp;
	sigmask_t mask;

	if ((r->sp & 15) != 0)
		return -EFAULT;
	/* Nearly all frames are our own shape; only others are read whole. */
	if (copy_from_user(&f, r->sp, FRAME_USED) != 0)
		return -EFAULT;
	fp = frame_find_fp(&f.uc.uc_mcontext);
	if (fp != (const void *)f.uc.uc_mcontext.__reserved) {
		if (copy_from_user(&f, r->sp, sizeof(f)) != 0)
			return -EFAULT;
		fp = frame_find_fp(&f.uc.uc_mcontext);
	}
	if (fp == NULL)
		return -EFAULT;
	memcpy(&mask, &f.uc.uc_sigmask, sizeof(mask));
	frame_restore(t, r, &f, fp);
	signal_set_altstack(&f.uc.uc_stack, true);
	signal_block(mask);
	return 0;
}
