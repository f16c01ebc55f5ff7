/* SPDX-License-Identifier: MIT */
/* Messages on firmware's console, while there is one. */
#include "loader.h"

static void
print_list(const char *format, va_list arguments)
{
	char text[256];
	efi_char wide[2 * sizeof(text) + 1];
	unsigned used = 0;

	text_format_list(text, sizeof(text), format, arguments);
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '\n')
			wide[used++] = '\r';
		wide[used++] = (unsigned char)*p < 0x80 ? (efi_char)*p : '?';
	}
	wide[used] = 0;
	if (efi->con_out != NULL)
		efi->con_out->output_string(efi->con_out, wide);
}

void
print(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_list(format, arguments);
	va_end(arguments);
}

/* Nothing is left to try: the reason stays on the screen. */
_Noreturn void
stop(const char *format, ...)
{
	va_list arguments;

	print("tessera: cannot boot: ");
	va_start(arguments, format);
	print_list(format, arguments);
	va_end(arguments);
	print("\ntessera: stopped. Reset the machine to try again.\n");
	for (;;)
		efi->boot->stall(1000000);
}
