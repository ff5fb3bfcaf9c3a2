"""The dashboard in headless Chromium, over a real server and worker with a stand-in for hone-job.

    dashboard_test.py BIN_FOLDER STAND_IN_JOB         exits with 77 (skipped) where no Chromium is installed
"""
import os
import shutil
import sys

from headless_browser import Browser, find_chromium
from hone_service import Hone
from service_test import relu_model, stand_in_programs

# Would run as script if it ever became markup; a file name on top, hence without slashes.
HOSTILE = "<img src=x onerror=window.pwned=1>"


def check(hone, page):
    hostile = os.path.join(hone.folder, HOSTILE + ".onnx")
    shutil.copy(relu_model(hone), hostile)

    # Without and with a wrong token: the form. With the address that `hone dashboard` prints: the jobs.
    address = hone.json("dashboard")
    page.open(address["address"])
    page.wait_for("document.getElementById('gate')?.hidden === false")
    page.evaluate("document.getElementById('token').value = 'wrong'; document.querySelector('#gate button').click()")
    page.wait_for("document.getElementById('gate-message').textContent.includes('token')")
    page.errors.clear()   # the browser's own line about 401
    page.open("about:blank")
    page.open(address["address_with_token"])
    page.wait_for("document.querySelector('main h1')?.textContent === 'Jobs'")
    assert page.evaluate("location.href") == address["address"] + "#/jobs", "the token left the address bar"

    # A job shows up, its curve grows and its state changes without a reload.
    job = hone.json("optimize", hostile, "--budget", "none", "--detach")["job"]["name"]
    page.wait_for("!!document.querySelector('.running .spark')")
    assert page.evaluate("document.querySelector('.running h3 a').textContent") == HOSTILE
    page.evaluate(f"location.hash = '#/{job}'")
    trials = "Number([...document.querySelectorAll('.figure')].find(f => f.innerText.startsWith('Trials'))" \
             ".querySelector('dd').firstChild.textContent.replaceAll(',', ''))"
    before = page.wait_for(f"document.querySelector('#best-so-far') && {trials}")
    page.wait_for(f"{trials} > {before}")
    assert page.evaluate("document.querySelectorAll('.roof').length") >= 1
    page.evaluate("document.querySelector('#best-so-far').focus()")
    page.press("Home")
    page.press("ArrowRight")
    page.wait_for("document.querySelector('.reading').textContent.startsWith('trial 1 ')")
    hone.run("job", "cancel", job)
    page.wait_for("document.querySelector('h1 .pill').textContent === 'cancelled'", timeout=60)
    if len(sys.argv) > 3:
        page.screenshot(sys.argv[3])

    module = hone.json("module", "list")["modules"][0]["name"].split("/")[1]
    page.evaluate(f"location.hash = '#/compare/{module}/{module}'")
    page.wait_for("document.body.innerText.includes('as fast as A')")
    page.evaluate("location.hash = '#/workers'")
    page.wait_for("!!document.querySelector('.card .legend b')")

    # The policy holds even if someone wrote markup; nothing hostile ran; nothing else was complained about.
    assert page.evaluate("(() => { try { document.body.innerHTML = ''; return false } catch { return true } })()")
    page.errors = [e for e in page.errors if "TrustedHTML" not in e]
    assert page.evaluate("window.pwned") is None and not page.errors, page.errors
    page.look(360, 700)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360, "the page scrolls sideways"
    hone.run("down")
    page.wait_for("document.getElementById('status').textContent.includes('away')")
    hone.up()
    page.wait_for("document.getElementById('status').textContent === 'live'", timeout=60)


def main():
    programs, stand_in = sys.argv[1:3]
    if not find_chromium():
        print("skipped: no Chromium is installed (deploy/install brings chromium-headless-shell)")
        sys.exit(77)
    with stand_in_programs(programs, stand_in) as folder, Hone(folder) as hone, Browser() as page:
        check(hone, page)
    print("passed")


if __name__ == "__main__":
    main()
