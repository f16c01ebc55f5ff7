/* SPDX-License-Identifier: MIT */
/*
 * System calls: from registers to operations.  Each is decoded in full before
 * anything changes.  The fast path (fastpath.c) does the common cases of call
 * and reply_recv itself and must not differ from what is written here.
 */
#include <kernel/core.h>

/* What the generated decoders use. */
static enum error
arg_cap(struct thread *t, uint64_t index, enum object_type type, unsigned rights, struct slot **s)
{
	return cap_lookup_type(t, index, type, rights, s);
}

static enum error
arg_cap_or_none(struct thread *t, uint64_t index, enum object_type type, unsigned rights,
	struct slot **s)
{
	*s = NULL;
	return index == 0 ? OK : cap_lookup_type(t, index, type, rights, s);
}

static enum error
arg_cnode(struct thread *t, uint64_t index, unsigned rights, struct cnode **cnode)
{
	struct slot *s = &t->slots[HOME_THREAD_CSPACE - 1];
	enum error e = OK;

	if (index != 0)
		e = cap_lookup_type(t, index, OBJ_CNODE, rights, &s);
	else if ((s->rights & rights) != rights)
		e = ERR_RIGHTS;
	if (e == OK)
		*cnode = s->cnode;
	return e;
}

#define DISPATCH_TABLES
#include <kernel/dispatch.h>

/*
 * x0 says OK here for what ends at once.  A call that blocks, and a receive,
 * have their result put into x0 by whoever ends or serves them.
 */
static enum error
done(struct thread *t, enum error e)
{
	if (e == OK)
		t->regs.x[0] = OK;
	return e;
}

static enum error
sys_invoke(struct thread *t, struct slot *s)
{
	uint32_t label = msg_label(t->regs.x[1]);

	if (label >= INVOKE_LABELS || invoke_table[s->type][label] == NULL)
		return ERR_CALL;
	return done(t, invoke_table[s->type][label](t, s));
}

/* Send, nb_send and call on an Endpoint. */
static enum error
sys_send_to(struct thread *t, struct slot *s, bool call, bool block)
{
	uint64_t info = t->regs.x[1];
	bool grant = (s->rights & RIGHT_GRANT) != 0;
	enum error e;

	if (!(s->rights & RIGHT_WRITE))
		return ERR_RIGHTS;
	e = message_check(t, info, grant);
	if (e != OK)
		return e;
	return endpoint_send(t, s->endpoint, info, s->badge, grant, call, block, t->regs.x[9]);
}

static enum error
sys_call(struct thread *t)
{
	struct slot *s;
	enum error e = cap_lookup(t, t->regs.x[0], &s);

	if (e != OK)
		return e;
	if (s->type == OBJ_ENDPOINT)
		return sys_send_to(t, s, true, true);
	return sys_invoke(t, s);
}

/* The answer that a `send` on a Reply, or reply_recv, gives. */
static enum error
check_answer(struct thread *t, struct slot *reply)
{
	if (!(reply->rights & RIGHT_WRITE))
		return ERR_RIGHTS;
	return message_check(t, t->regs.x[1], (reply->rights & RIGHT_GRANT) != 0);
}

static enum error
sys_send(struct thread *t, bool block)
{
	struct slot *s;
	enum error e = cap_lookup(t, t->regs.x[0], &s);

	if (e != OK)
		return e;
	if (s->type == OBJ_ENDPOINT) {
		e = sys_send_to(t, s, false, block);
		return t->state == THREAD_READY ? done(t, e) : e;
	}
	if (s->type != OBJ_REPLY)
		return ERR_TYPE;
	e = check_answer(t, s);
	if (e != OK)
		return e;
	if (s->reply->caller == NULL)
		return ERR_STATE;
	reply_answer(t, s->reply, t->regs.x[1], (s->rights & RIGHT_GRANT) != 0);
	return done(t, OK);
}

static enum error
sys_recv(struct thread *t, bool block)
{
	struct slot *s, *reply = NULL;
	enum error e;

	e = cap_lookup_type(t, t->regs.x[0], OBJ_ENDPOINT, RIGHT_READ, &s);
	if (e == OK)
		e = arg_cap_or_none(t, t->regs.x[10], OBJ_REPLY, 0, &reply);
	if (e != OK)
		return e;
	if (reply != NULL && (reply->reply->server != NULL || reply->reply->caller != NULL))
		return ERR_BUSY;
	return endpoint_recv(t, s->endpoint, reply != NULL ? reply->reply : NULL, block, t->regs.x[9]);
}

static enum error
sys_reply_recv(struct thread *t)
{
	struct slot *s, *reply = NULL;
	enum error e;

	e = cap_lookup_type(t, t->regs.x[0], OBJ_ENDPOINT, RIGHT_READ, &s);
	if (e == OK)
		e = arg_cap_or_none(t, t->regs.x[10], OBJ_REPLY, 0, &reply);
	if (e != OK)
		return e;
	if (reply == NULL)
		return endpoint_recv(t, s->endpoint, NULL, true, t->regs.x[9]);
	if (reply->reply->caller == NULL && reply->reply->server != NULL)
		return ERR_BUSY;
	if (reply->reply->caller != NULL) {
		e = check_answer(t, reply);
		if (e != OK)
			return e;
		reply_answer(t, reply->reply, t->regs.x[1], (reply->rights & RIGHT_GRANT) != 0);
	}
	return endpoint_recv(t, s->endpoint, reply->reply, true, t->regs.x[9]);
}

static enum error
sys_signal(struct thread *t)
{
	struct slot *s;
	enum error e;

	e = cap_lookup_type(t, t->regs.x[0], OBJ_NOTIFICATION, RIGHT_WRITE, &s);
	if (e == OK)
		notification_signal(s->notification, s->badge);
	return done(t, e);
}

static enum error
sys_wait(struct thread *t, bool block)
{
	struct slot *s;
	enum error e;

	e = cap_lookup_type(t, t->regs.x[0], OBJ_NOTIFICATION, RIGHT_READ, &s);
	if (e != OK)
		return e;
	return notification_wait(t, s->notification, block, t->regs.x[9]);
}

static enum error
dispatch_syscall(struct thread *t)
{
	if (t->regs.x[8] == SYS_CALL)	/* every invocation of an object */
		return sys_call(t);
	switch (t->regs.x[8]) {
	case SYS_REPLY_RECV:
		return sys_reply_recv(t);
	case SYS_SEND:
		return sys_send(t, true);
	case SYS_NB_SEND:
		return sys_send(t, false);
	case SYS_RECV:
		return sys_recv(t, true);
	case SYS_NB_RECV:
		return sys_recv(t, false);
	case SYS_SIGNAL:
		return sys_signal(t);
	case SYS_WAIT:
		return sys_wait(t, true);
	case SYS_POLL:
		return sys_wait(t, false);
	case SYS_YIELD:
		kernel_yield(t);
		return done(t, OK);
	default:
		return ERR_CALL;
	}
}

void
kernel_syscall(struct thread *t)
{
	enum error e;

	e = dispatch_syscall(t);
	if (e == RESTART) {
		t->restarted = 1;
		t->regs.pc -= 4;	/* the SVC or HVC again */
		return;
	}
	t->restarted = 0;
	t->rollback = 0;
	if (e != OK)
		t->regs.x[0] = e;
}
