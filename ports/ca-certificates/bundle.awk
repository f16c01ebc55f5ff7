# SPDX-License-Identifier: MIT
#
# Mozilla's certdata.txt to PEM.  The file lists objects: a certificate, and then a
# trust that has its label again and says for what its authority counts.  Kept are
# those that may vouch for servers (CKA_TRUST_SERVER_AUTH: a trusted delegator).

BEGIN {
	digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
}

function finish_object()
{
	if (class == "CKO_CERTIFICATE" && count > 0)
		bytes[label] = value
	if (class == "CKO_NSS_TRUST" && trusted && label in bytes && !(label in done)) {
		done[label] = 1
		print_pem(label, bytes[label])
	}
	class = ""; label = ""; value = ""; count = 0; trusted = 0
}

function octal(text)
{
	return substr(text, 1, 1) * 64 + substr(text, 2, 1) * 8 + substr(text, 3, 1)
}

function print_pem(label, octals,	byte, n, i, out, a, b, c)
{
	n = split(substr(octals, 2), byte, "\\")
	for (i = 1; i <= n; i += 3) {
		a = octal(byte[i])
		b = i + 1 <= n ? octal(byte[i + 1]) : 0
		c = i + 2 <= n ? octal(byte[i + 2]) : 0
		out = out substr(digits, int(a / 4) + 1, 1) substr(digits, (a % 4) * 16 + int(b / 16) + 1, 1)
		out = out (i + 1 <= n ? substr(digits, (b % 16) * 4 + int(c / 64) + 1, 1) : "=")
		out = out (i + 2 <= n ? substr(digits, c % 64 + 1, 1) : "=")
	}
	print "# " label
	print "-----BEGIN CERTIFICATE-----"
	for (i = 1; i <= length(out); i += 64)
		print substr(out, i, 64)
	print "-----END CERTIFICATE-----"
}

/^#/ || /^$/ { next }
reading { if ($0 == "END") reading = 0; else if (reading == 2) { value = value $0; count++ }; next }
$1 == "CKA_CLASS" { finish_object(); class = $3; next }
$1 == "CKA_LABEL" { label = $0; sub(/^[^"]*"/, "", label); sub(/"$/, "", label); next }
$1 == "CKA_TRUST_SERVER_AUTH" { trusted = ($3 == "CKT_NSS_TRUSTED_DELEGATOR"); next }
$2 == "MULTILINE_OCTAL" { reading = ($1 == "CKA_VALUE") ? 2 : 1; next }
END { finish_object() }
