/* SPDX-License-Identifier: MIT */
/*
 * Messages: how words and capabilities get from one thread to another.
 *
 * Six words always travel, in registers; words beyond those and capabilities
 * go by the IPC buffers.  These are user memory that others may write at any
 * time: each field is read once.
 */
#include <kernel/core.h>

static uint32_t
read_once(const uint32_t *p)
{
	return *(const volatile uint32_t *)p;
}

/* What the sender is told before anything happens. */
enum error
message_check(const struct thread *t, uint64_t info, bool may_grant)
{
	unsigned words = msg_words(info), caps = msg_caps(info);
	struct slot *s;
	enum error e;

	if (words <= MSG_WORDS_REG && caps == 0)
		return OK;
	if (words > MSG_WORDS || caps > MSG_CAPS || t->ipc == NULL)
		return ERR_ARGUMENT;
	if (caps > 0 && !may_grant)
		return ERR_RIGHTS;
	/*@
	  loop invariant 0 <= i <= caps <= MSG_CAPS;
	  loop assigns i, e, s;
	  loop variant caps - i;
	*/
	for (unsigned i = 0; i < caps; i++) {
		e = cap_lookup(t, read_once(&t->ipc->caps[i]), &s);
		if (e == OK)
			e = cap_derivable(s);
		if (e != OK)
			return e;
	}
	return OK;
}

/* Derive the capabilities that from named into the slots that to named.  How
 * many arrived. */
static unsigned
copy_caps(struct thread *from, struct thread *to, unsigned caps)
{
	struct slot *src, *dst;
	unsigned n;

	if (to->ipc == NULL || from->ipc == NULL || to->cspace == NULL)
		return 0;
	for (n = 0; n < caps; n++) {
		if (cap_lookup(from, read_once(&from->ipc->caps[n]), &src) != OK ||
		    cap_derivable(src) != OK)
			break;
		if (cnode_slot(to->cspace, read_once(&to->ipc->recv_slots[n]), &dst) != OK ||
		    dst->type != OBJ_NULL)
			break;
		cap_derive(dst, src, RIGHTS_ALL);
	}
	return n;
}

/* Put a message into the registers and buffer of its receiver. */
void
message_copy(struct thread *from, struct thread *to, uint64_t info, uint64_t badge, bool grant)
{
	unsigned words = msg_words(info), caps = msg_caps(info), arrived = 0;
	bool truncated = false;

	for (unsigned i = 2; i < 2 + MSG_WORDS_REG; i++)
		to->regs.x[i] = from->regs.x[i];
	if (words > MSG_WORDS_REG) {
		if (to->ipc == NULL || from->ipc == NULL) {
			words = MSG_WORDS_REG;
			truncated = true;
		} else if (to->ipc != from->ipc) {
			__builtin_memcpy(&to->ipc->words[MSG_WORDS_REG],
				&from->ipc->words[MSG_WORDS_REG],
				(words - MSG_WORDS_REG) * sizeof(uint64_t));
		}
	}
	if (caps > 0) {
		arrived = grant ? copy_caps(from, to, caps) : 0;
		truncated |= arrived < caps;
	}
	to->regs.x[0] = truncated ? ERR_TRUNCATED : OK;
	to->regs.x[1] = MSG_INFO(msg_label(info), words, arrived);
	to->regs.x[8] = badge;
}

/* May this thread block, until this deadline?  Says why not. */
enum error
block_allowed(const struct thread *t, uint64_t deadline)
{
	if (t->vcpu != NULL)
		return ERR_WOULD_BLOCK;
	if (deadline != 0 && deadline <= arch_now())
		return ERR_TIMEOUT;
	return OK;
}
