/* SPDX-License-Identifier: MIT */
/*
 * Interrupt lines as capabilities.  The table has the hardware's size and
 * lives in the kernel's image.
 */
#include <kernel/core.h>

struct irq irqs[IRQ_LINES];

void
irq_unbind(struct irq *irq)
{
	struct irq **link;

	if (irq->notification == NULL)
		return;
	arch_irq_disable(irq->intid);
	for (link = &irq->notification->irqs; *link != irq; link = &(*link)->next)
		;
	*link = irq->next;
	irq->next = NULL;
	irq->notification = NULL;
}

void
kernel_interrupt(uint32_t intid)
{
	if (intid < IRQ_LINES && irqs[intid].notification != NULL)
		notification_signal(irqs[intid].notification, irqs[intid].badge);
}

/* ---- invocations ---------------------------------------------------------- */

enum error
irq_control_get(struct thread *caller, struct slot *self, uint64_t intid, uint64_t edge,
	struct cnode *cnode, uint64_t index)
{
	struct irq *irq;
	struct slot *s;
	enum error e;

	(void)caller;
	if (intid >= IRQ_LINES || edge > 1 || !arch_irq_usable((uint32_t)intid))
		return ERR_RANGE;
	e = cnode_slot(cnode, index, &s);
	if (e != OK)
		return e;
	if (s->type != OBJ_NULL)
		return ERR_SLOT_FULL;
	irq = &irqs[intid];
	if (irq->obj.refs != 0)
		return ERR_BUSY;

	irq->obj = (struct object){ .refs = 1, .type = OBJ_IRQ_HANDLER };
	irq->intid = (uint32_t)intid;
	arch_irq_configure((uint32_t)intid, edge == 1);
	s->type = OBJ_IRQ_HANDLER;
	s->rights = RIGHTS_ALL;
	s->device = 0;
	s->pages = 0;
	s->object = irq;
	s->badge = s->clean = 0;
	derivation_insert(self, s);
	return OK;
}

enum error
irq_handler_bind(struct thread *caller, struct slot *self, struct slot *notification)
{
	struct irq *irq = self->irq;

	irq_unbind(irq);
	if (notification == NULL)
		return OK;
	irq->notification = notification->notification;
	irq->badge = notification->badge;
	irq->next = irq->notification->irqs;
	irq->notification->irqs = irq;
	irq->cpu = caller->cpu;
	arch_irq_enable(irq->intid, irq->cpu);
	return OK;
}

enum error
irq_handler_ack(struct thread *caller, struct slot *self)
{
	(void)caller;
	if (self->irq->notification != NULL)
		arch_irq_ack(self->irq->intid);
	return OK;
}
