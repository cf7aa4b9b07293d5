// What gradio says by itself is said in the language of the page, not of the browser.
{
  const known = { "zh-Hant": "zh-TW", "zh-Hans": "zh-CN" };
  const language = known[MYNAH_LANGUAGE] || MYNAH_LANGUAGE;
  Object.defineProperty(navigator, "language", { get: () => language });
  Object.defineProperty(navigator, "languages", { get: () => [language] });
}

// Whoever opens the microphone, its level is shown.
if (navigator.mediaDevices) {
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);

  const show = (peak) => {
    const share = Math.max(0, 1 + (20 * Math.log10(peak + 1e-6)) / 60); // of 60 dB
    for (const bar of document.querySelectorAll(".level i")) {
      bar.style.width = `${100 * Math.min(1, share)}%`;
      bar.dataset.level = peak > 0.97 ? "hot" : share > 0.4 ? "good" : "low";
    }
  };

  const listen = (stream) => {
    const context = new AudioContext();
    const ear = context.createAnalyser();
    const wave = new Float32Array(ear.fftSize);
    context.createMediaStreamSource(stream).connect(ear);
    const look = () => {
      if (stream.getTracks().every((track) => track.readyState === "ended")) {
        context.close();
        show(0);
        return;
      }
      ear.getFloatTimeDomainData(wave);
      show(wave.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0));
      setTimeout(look, 50);
    };
    look();
  };

  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await open(wanted);
    if (stream.getAudioTracks().length) listen(stream);
    return stream;
  };
}

// Before and after: the other one goes on where this one is.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-ab]");
  if (!button) return;
  const place = button.closest(".ab");
  const shown = place.querySelector("audio:not([hidden])");
  const other = place.querySelector("audio[hidden]");
  const playing = !shown.paused;
  shown.pause();
  other.currentTime = shown.currentTime;
  shown.hidden = true;
  other.hidden = false;
  if (playing) other.play();
  for (const word of button.querySelectorAll("span")) word.hidden = !word.hidden;
  button.setAttribute("aria-pressed", String(other.hasAttribute("data-after")));
});
