# SPDX-License-Identifier: MIT
"""server.py FOLDER LOG [no-range] [slow] [double] [tls=FILE]: serves a folder on a free port.

Prints the port, then writes a line to LOG for each request: path, the first byte
that was asked for, and how many requests were answered at that moment.
no-range knows no ranges, slow needs a second for each 64 KiB, double sends all
twice; tls speaks https with the certificates and the key in FILE.
"""
import http.server, os, ssl, sys, threading, time

folder, log, modes = sys.argv[1], open(sys.argv[2], "a"), sys.argv[3:]
busy, lock = 0, threading.Lock()

class Handler(http.server.BaseHTTPRequestHandler):
	def log_message(self, *arguments):
		pass

	def do_GET(self):
		global busy
		first = 0
		wanted = self.headers.get("Range", "")
		if wanted.startswith("bytes=") and "no-range" not in modes:
			first = int(wanted[6:].split("-")[0])
		with lock:
			busy += 1
			log.write(f"{self.path} {first} {busy}\n")
			log.flush()
		self.counted = True
		try:
			self.answer(first)
		finally:
			self.leave()

	def leave(self):
		"""Before the client can know that it has all."""
		global busy
		with lock:
			busy -= self.counted
		self.counted = False

	def answer(self, first):
		try:
			data = open(os.path.join(folder, os.path.basename(self.path)), "rb").read()
		except OSError:
			return self.send_error(404)
		if "double" in modes:
			data += data
		if first >= len(data) and first:
			return self.send_error(416)
		self.send_response(206 if first else 200)
		if first:
			self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
		self.send_header("Content-Length", str(len(data) - first))
		self.end_headers()
		time.sleep(0.3)
		try:
			for at in range(first, len(data), 65536):
				if "slow" in modes:
					time.sleep(1)
				if at + 65536 >= len(data):
					self.leave()
				self.wfile.write(data[at:at + 65536])
				self.wfile.flush()
		except OSError:
			pass	# the client went away

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
for mode in modes:
	if mode.startswith("tls="):
		context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
		context.load_cert_chain(mode[4:])
		server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_port, flush=True)
server.serve_forever()
