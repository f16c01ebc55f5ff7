/* SPDX-License-Identifier: MIT */
/*
 * Interrupts as capabilities.  The table of lines has the hardware's size and
 * lives in the kernel's image; message interrupts lie in their IODevices.
 */
#include <kernel/core.h>

struct irq irqs[IRQ_LINES];

void
irq_unbind(struct irq *irq)
{
	struct irq **link;

	if (irq->notification == NULL)
		return;
	cpus[irq->cpu].users--;
	if (irq->intid != 0)
		arch_irq_disable(irq->intid);
	for (link = &irq->notification->irqs; *link != irq; link = &(*link)->next)
		;
	*link = irq->next;
	irq->next = NULL;
	irq->notification = NULL;
}

/* Deliver it to the Notification, on that CPU.  It is not bound. */
void
irq_bind(struct irq *irq, const struct slot *notification, unsigned cpu)
{
	irq->notification = notification->notification;
	irq->badge = notification->badge;
	irq->next = irq->notification->irqs;
	irq->notification->irqs = irq;
	irq->cpu = (uint16_t)cpu;
	cpus[cpu].users++;
	irq->unanswered = 0;
	if (irq->intid != 0)
		arch_irq_enable(irq->intid, cpu);
}

/* The last capability of its handler goes. */
void
irq_destroy(struct irq *irq)
{
	irq_unbind(irq);
	if (irq->intid < LPI_FIRST)
		return;
	arch_lpi_unmap(io_devices[(irq->intid - LPI_FIRST) / IO_EVENTS], irq->intid % IO_EVENTS);
	irq->intid = 0;
}

void
kernel_interrupt(uint32_t intid)
{
	struct irq *irq = irq_find(intid);

	if (irq == NULL || irq->notification == NULL)
		return;
	if (irq->unanswered++ >= IRQ_STORM)	/* lines are masked anyhow */
		arch_irq_mask(intid);
	notification_signal(irq->notification, irq->badge);
}

/* The only capability of an interrupt's handler, into an empty slot. */
enum error
irq_give(struct slot *parent, struct cnode *cnode, uint64_t index, struct irq *irq, uint32_t intid)
{
	struct slot *s;
	enum error e = cnode_slot(cnode, index, &s);

	if (e != OK)
		return e;
	if (s->type != OBJ_NULL)
		return ERR_SLOT_FULL;
	if (irq->obj.refs != 0)
		return ERR_BUSY;

	irq->obj = (struct object){ .refs = 1, .type = OBJ_IRQ_HANDLER };
	irq->intid = intid;
	s->type = OBJ_IRQ_HANDLER;
	s->rights = RIGHTS_ALL;
	s->device = 0;
	s->pages = 0;
	s->object = irq;
	s->badge = s->clean = 0;
	derivation_insert(parent, s);
	return OK;
}

/* ---- invocations ---------------------------------------------------------- */

enum error
irq_control_get(struct thread *caller, struct slot *self, uint64_t intid, uint64_t edge,
	struct cnode *cnode, uint64_t index)
{
	enum error e;

	(void)caller;
	if (intid >= IRQ_LINES || edge > 1 || !arch_irq_usable((uint32_t)intid))
		return ERR_RANGE;
	e = irq_give(self, cnode, index, &irqs[intid], (uint32_t)intid);
	if (e == OK)
		arch_irq_configure((uint32_t)intid, edge == 1);
	return e;
}

enum error
irq_handler_bind(struct thread *caller, struct slot *self, struct slot *notification)
{
	struct irq *irq = self->irq;

	if (irq->intid == 0)
		return ERR_GONE;
	irq_unbind(irq);
	if (notification != NULL)
		irq_bind(irq, notification, caller->cpu);
	return OK;
}

enum error
irq_handler_ack(struct thread *caller, struct slot *self)
{
	struct irq *irq = self->irq;

	(void)caller;
	if (irq->notification == NULL)
		return OK;
	if (irq->unanswered > IRQ_STORM)
		arch_irq_enable(irq->intid, irq->cpu);
	irq->unanswered = 0;
	arch_irq_ack(irq->intid);
	return OK;
}
